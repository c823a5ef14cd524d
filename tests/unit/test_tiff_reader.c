/* tiff_reader: the files of libtiff and ImageJ; broken and unfit ones are refused. */
#include "tests/unit/tiff_files.h"

#include <math.h>

/* The sample at i as tiff-to-tensor must map it, in double. */
static double expected_value(const struct layout_case *layout, const void *samples, int i)
{
    double value;
    if (layout->bits == 8)
        value = ((const uint8_t *)samples)[i] / 127.5 - 1;
    else if (layout->format == SAMPLEFORMAT_IEEEFP)
        value = (double)((const float *)samples)[i];
    else if (layout->format == SAMPLEFORMAT_INT)
        value = (((const int16_t *)samples)[i] + 32768) / 32767.5 - 1;
    else
        value = ((const uint16_t *)samples)[i] / 32767.5 - 1;
    return layout->photometric == PHOTOMETRIC_MINISWHITE ? -value : value;
}

static void test_layouts(void **state)
{
    (void)state;
    static const struct layout_case layouts[] = {
        {.bits = 8, .photometric = 1},
        {.bits = 8, .photometric = 1, .rows_per_strip = 5, .compression = COMPRESSION_PACKBITS},
        {.bits = 8, .photometric = 0, .rows_per_strip = 4, .compression = COMPRESSION_LZW},
        {.bits = 8, .photometric = 1, .format = SAMPLEFORMAT_VOID},
        {.bits = 8, .photometric = 1, .tile = 16, .compression = COMPRESSION_DEFLATE},
        {.bits = 8, .photometric = 1, .tile = 64, .mode = "w8"},
        {.bits = 16, .photometric = 1, .mode = "wb"},
        {.bits = 16,
         .photometric = 1,
         .mode = "wb8",
         .tile = 32,
         .predictor = 2,
         .compression = COMPRESSION_ADOBE_DEFLATE},
        {.bits = 16, .photometric = 0, .rows_per_strip = 1},
        {.bits = 16, .photometric = 1, .format = SAMPLEFORMAT_INT, .mode = "wl"},
        {.bits = 16, .photometric = 0, .format = SAMPLEFORMAT_INT, .mode = "wb"},
        {.bits = 32, .photometric = 1, .format = SAMPLEFORMAT_IEEEFP, .mode = "wb"},
        {.bits = 32, .photometric = 0, .format = SAMPLEFORMAT_IEEEFP},
        {.bits = 32,
         .photometric = 1,
         .format = SAMPLEFORMAT_IEEEFP,
         .tile = 16,
         .predictor = 3,
         .compression = COMPRESSION_LZW},
    };
    static uint8_t noise[VOXELS * 2];
    static float reals[VOXELS];
    random_bytes(noise, sizeof noise);
    for (int i = 0; i < VOXELS; i++)
        reals[i] = (float)(random_below(2001) - 1000) / 1000;
    const char *path = path_of("layout.tif");
    for (size_t k = 0; k < sizeof layouts / sizeof layouts[0]; k++) {
        const struct layout_case *layout = &layouts[k];
        const void *samples = layout->bits == 32 ? (void *)reals : (void *)noise;
        struct array found;
        write_layout(path, layout, samples);
        void *data = load_good(path, &as_stored, &found);
        assert_shape(&found, layout->bits == 8 ? DTYPE_U8 : DTYPE_F32, D, H, W);
        for (int i = 0; i < VOXELS; i++) {
            double value = found.dtype == DTYPE_U8 ? ((uint8_t *)data)[i] / 127.5 - 1
                                                   : (double)((float *)data)[i];
            /* Rounding to f4: half a unit of the last place below 1. */
            if (!(fabs(value - expected_value(layout, samples, i)) <= 0x1p-25))
                fail_msg("layout %zu, voxel %d: %g", k, i, value);
        }
        free(data);
    }
    unlink(path);
}

static void test_mapping(void **state)
{
    (void)state;
    static float reals[VOXELS];
    const struct tiff_mapping range = {.range = true, .low = -10, .high = 30};
    const struct layout_case layout = {.bits = 32, .photometric = 1, .format = 3};
    const char *path = path_of("mapping.tif");
    struct array found;
    reals[0] = -10;
    reals[1] = 30;
    reals[2] = 20;
    reals[3] = INFINITY;
    reals[4] = -1e30f;
    write_layout(path, &layout, reals);
    float *data = load_good(path, &range, &found);
    const float expected[6] = {-1, 1, 0.5f, 1, -1, -0.5f};
    assert_memory_equal(data, expected, sizeof expected);
    free(data);
    assert_refused(path, &as_stored, "page 1: -10 at row 0, column 0 is outside [-1,1]");
    reals[PIXELS + W + 2] = NAN;
    write_layout(path, &layout, reals);
    assert_refused(path, &range, "page 2: nan at row 1, column 2");
    unlink(path);
}

static void test_labels(void **state)
{
    (void)state;
    static uint8_t bytes[VOXELS * 2];
    static uint16_t colour[256];
    const struct tiff_mapping labels = {.labels = true};
    const char *path = path_of("labels.tif");
    struct array found;
    random_bytes(bytes, VOXELS);
    write_layout(path, &(struct layout_case){.bits = 8, .photometric = PHOTOMETRIC_MINISWHITE},
                 bytes);
    uint8_t *data = load_good(path, &labels, &found);
    assert_string_equal(found.kind, "labels");
    assert_memory_equal(data, bytes, VOXELS);
    free(data);
    write_layout(path, &(struct layout_case){.bits = 16, .photometric = 1}, bytes);
    assert_refused(path, &labels, "page 1: labels need 8-bit unsigned samples");

    TIFF *tiff = TIFFOpen(path, "w");
    set_tags(tiff, &(struct layout_case){.bits = 8, .photometric = PHOTOMETRIC_PALETTE}, 0);
    TIFFSetField(tiff, TIFFTAG_COLORMAP, colour, colour, colour);
    assert_int_equal(TIFFWriteEncodedStrip(tiff, 0, bytes, PIXELS), PIXELS);
    TIFFClose(tiff);
    data = load_good(path, &labels, &found);
    assert_memory_equal(data, bytes, PIXELS);
    free(data);
    assert_refused(path, &as_stored, "--labels");
    unlink(path);
}

static const struct {
    const char *description;
    uint16_t unit;
    int64_t slices, volumes;
    double spacing[3]; /* with 50 pixels a unit along W, 25 along H */
} imagej_cases[] = {
    {"ImageJ=1.53t\nimages=6\nslices=6\nunit=mm\nspacing=0.25\n", 1, 6, 1, {0.25, 0.04, 0.02}},
    {"ImageJ=1.53t\nimages=6\nslices=3\nframes=2\nhyperstack=true\nunit=micron\nspacing=-12."
     "5\n",
     1,
     3,
     2,
     {0.0125, 4e-5, 2e-5}},
    {"ImageJ=1.11a\nimages=6\nframes=6\nunit=\\u00B5m\n", 1, 6, 1, {0, 4e-5, 2e-5}},
    {"ImageJ=1.11a\nimages=6\nchannels=6\nunit=inch\nzunit=cm\nspacing=1\n",
     3,
     6,
     1,
     {10, 1.016, 0.508}},
    {"ImageJ=1.11a\nimages=4\nslices=2\nframes=2\nunit=pixel\nspacing=2\n", 1, 6, 1, {0, 0, 0}},
    {"ImageJ=1\nspacing=nan\nunit=mm\nslices=99999999999999999999\nframes=-1\n",
     1,
     6,
     1,
     {0, 0.04, 0.02}},
    {"ImageJ=1\nslices=6\noctpipe={\"version\":1,\"spacing\":[1,2]}\nunit=mm\n",
     1,
     6,
     1,
     {0, 0.04, 0.02}},
    {"a microscope", 3, 6, 1, {0, 0.4, 0.2}},
    {"a microscope", 2, 6, 1, {0, 0, 0}},
    {NULL, 3, 6, 1, {0, 0.4, 0.2}},
};

static void test_imagej(void **state)
{
    (void)state;
    static uint8_t bytes[6 * PIXELS];
    random_bytes(bytes, sizeof bytes);
    const char *path = path_of("imagej.tif");
    for (size_t k = 0; k < sizeof imagej_cases / sizeof imagej_cases[0]; k++) {
        struct layout_case layout = {.bits = 8,
                                     .photometric = 1,
                                     .pages = 6,
                                     .resolution = 50,
                                     .unit = imagej_cases[k].unit,
                                     .description = imagej_cases[k].description};
        struct array found;
        struct error error = {""};
        int64_t volumes = 0;
        write_layout(path, &layout, bytes);
        void *data = load_tiff(path, &as_stored, 0, &found, &volumes, &error);
        if (!data)
            fail_msg("case %zu: %s", k, error.text);
        assert_int_equal(volumes, imagej_cases[k].volumes);
        assert_shape(&found, DTYPE_U8, imagej_cases[k].slices, H, W);
        for (int axis = 0; axis < 3; axis++)
            if (fabs(found.spacing[axis] - imagej_cases[k].spacing[axis]) >
                1e-6 * imagej_cases[k].spacing[axis])
                fail_msg("case %zu: spacing %d is %g", k, axis, found.spacing[axis]);
        assert_memory_equal(data, bytes, sizeof bytes);
        free(data);
    }
    write_layout(path,
                 &(struct layout_case){.bits = 8,
                                       .photometric = 1,
                                       .pages = 6,
                                       .description = "ImageJ=1\nchannels=2\nslices=3\n"},
                 bytes);
    assert_refused(path, &as_stored, "2 channels");
    unlink(path);
}

static void put(FILE *out, bool big, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> 8 * (big ? bytes - 1 - i : i) & 255), out);
}

/* A TIFF as ImageJ writes it beyond 4 GB: one directory, and all pages behind its strip. */
static void write_imagej_raw(const char *path, bool big, const uint16_t *words)
{
    static const char description[] = "ImageJ=1.53t\nimages=3\nslices=3\n";
    enum { ENTRIES = 8, TEXT = 8 + 2 + 12 * ENTRIES + 4, DATA = TEXT + sizeof description };
    static const uint32_t entry[ENTRIES][4] = {
        {TIFFTAG_IMAGEWIDTH, TIFF_LONG, 1, W},
        {TIFFTAG_IMAGELENGTH, TIFF_LONG, 1, H},
        {TIFFTAG_BITSPERSAMPLE, TIFF_SHORT, 1, 16},
        {TIFFTAG_PHOTOMETRIC, TIFF_SHORT, 1, PHOTOMETRIC_MINISBLACK},
        {TIFFTAG_IMAGEDESCRIPTION, TIFF_ASCII, sizeof description, TEXT},
        {TIFFTAG_STRIPOFFSETS, TIFF_LONG, 1, DATA},
        {TIFFTAG_ROWSPERSTRIP, TIFF_LONG, 1, H},
        {TIFFTAG_STRIPBYTECOUNTS, TIFF_LONG, 1, 2 * PIXELS},
    };
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    fputs(big ? "MM" : "II", out);
    put(out, big, 42, 2);
    put(out, big, 8, 4); /* where the directory is */
    put(out, big, ENTRIES, 2);
    for (int i = 0; i < ENTRIES; i++) {
        bool is_short = entry[i][1] == TIFF_SHORT;
        put(out, big, entry[i][0], 2);
        put(out, big, entry[i][1], 2);
        put(out, big, entry[i][2], 4);
        put(out, big, entry[i][3], is_short ? 2 : 4);
        put(out, big, 0, is_short ? 2 : 0);
    }
    put(out, big, 0, 4); /* no other directory */
    fwrite(description, 1, sizeof description, out);
    for (int i = 0; i < VOXELS; i++)
        put(out, big, words[i], 2);
    assert_int_equal(fclose(out), 0);
}

static void test_imagej_raw(void **state)
{
    (void)state;
    static uint16_t words[VOXELS];
    const char *path = path_of("raw.tif");
    struct array found;
    random_bytes((unsigned char *)words, sizeof words);
    for (int big = 0; big < 2; big++) {
        write_imagej_raw(path, big, words);
        float *data = load_good(path, &as_stored, &found);
        assert_shape(&found, DTYPE_F32, D, H, W);
        for (int i = 0; i < VOXELS; i++)
            assert_true(fabs((double)data[i] - (words[i] / 32767.5 - 1)) <= 0x1p-25);
        free(data);
        size_t size;
        free(load_bytes(path, &size));
        assert_int_equal(truncate(path, (off_t)size - 1), 0);
        assert_refused(path, &as_stored, "announces 3 images, but it holds one");
    }
    write_layout(path,
                 &(struct layout_case){.bits = 16,
                                       .photometric = 1,
                                       .pages = 1,
                                       .compression = COMPRESSION_LZW,
                                       .description = "ImageJ=1.53t\nimages=3\n"},
                 words);
    assert_refused(path, &as_stored, "announces 3 images, but it holds one");
    unlink(path);
}

static void test_reader_refusals(void **state)
{
    (void)state;
    static uint32_t samples[VOXELS];
    const char *path = path_of("refused.tif");
    write_layout(path, &(struct layout_case){.bits = 32, .photometric = 1}, samples);
    assert_refused(path, &as_stored, "page 1: 32-bit unsigned samples");
    write_layout(path, &(struct layout_case){.bits = 8, .photometric = 1, .format = 2}, samples);
    assert_refused(path, &as_stored, "8-bit signed samples");
    write_layout(path, &(struct layout_case){.bits = 8, .photometric = PHOTOMETRIC_MASK}, samples);
    assert_refused(path, &as_stored, "photometric interpretation 4");

    TIFF *tiff = TIFFOpen(path, "w");
    set_tags(tiff, &(struct layout_case){.bits = 8, .photometric = PHOTOMETRIC_RGB}, 0);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 4);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFWriteEncodedStrip(tiff, 0, samples, 4 * PIXELS);
    TIFFClose(tiff);
    assert_refused(path, &as_stored, "page 1: colours or alpha, 4 samples a pixel; make it gray");

    const struct layout_case good = {.bits = 8, .photometric = 1, .pages = 2};
    write_layout(path, &good, samples);
    tiff = TIFFOpen(path, "a");
    set_tags(tiff, &good, 2);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, H - 1);
    TIFFWriteEncodedStrip(tiff, 0, samples, PIXELS - W);
    TIFFClose(tiff);
    assert_refused(path, &as_stored, "page 3 is 20x34 u1, but the first one 21x34 u1");

    write_layout(path, &good, samples);
    tiff = TIFFOpen(path, "a");
    set_tags(tiff, &(struct layout_case){.bits = 8, .photometric = 0}, 2);
    TIFFWriteEncodedStrip(tiff, 0, samples, PIXELS);
    TIFFClose(tiff);
    assert_refused(path, &as_stored, "page 3 is 21x34 u1, but the first one 21x34 u1 in other");

    save_bytes(path, "II*", 3);
    assert_refused(path, &as_stored, "cannot open: ");
    save_bytes(path, "", 0);
    assert_refused(path, &as_stored, "cannot open: ");
    unlink(path);
    assert_refused(path, &as_stored, "No such file");
    assert_refused(directory, &as_stored, "no regular file");

    struct error error;
    struct tiff_reader *reader;
    write_layout(path, &good, samples);
    assert_int_equal(tiff_reader_open(&reader, path, &as_stored, 4 * PIXELS - 1, &error), -1);
    assert_non_null(strstr(error.text, "absurd size: a page of 21x34"));
    assert_int_equal(tiff_reader_open(&reader, path, &as_stored, 4 * PIXELS, &error), 0);
    tiff_reader_close(reader);
    unlink(path);
}

/* A file that is cut anywhere is refused, as its last directory stands at its end. */
static void check_cuts(const char *path)
{
    struct array found;
    struct error error;
    int64_t volumes;
    size_t size;
    unsigned char *file = load_bytes(path, &size);
    for (size_t left = 1; left <= size; left += 1 + left / 50) {
        save_bytes(path, file, size - left);
        if (load_tiff(path, &as_stored, 0, &found, &volumes, &error))
            fail_msg("read without the last %zu of %zu bytes", left, size);
    }
    free(file);
}

static void test_cut(void **state)
{
    (void)state;
    static uint8_t bytes[VOXELS];
    struct array volume = volume_of(DTYPE_U8);
    struct error error;
    const char *path = path_of("cut.tif");
    assert_int_equal(save_tiff(path, &volume, bytes, DTYPE_U8, TIFF_DEFLATE, true, &error), 0);
    check_cuts(path);
    for (int big = 0; big < 2; big++) {
        write_layout(path,
                     &(struct layout_case){
                         .bits = 8, .photometric = 1, .mode = big ? "wb8" : "wb", .pages = 1},
                     bytes);
        check_cuts(path);
    }
    unlink(path);
}

/* However a file is damaged, it is refused or read, and nothing else happens. */
static void test_damaged(void **state)
{
    (void)state;
    enum { LIMIT = 1 << 20, DAMAGES = 500 };
    static uint8_t bytes[VOXELS];
    struct array volume = volume_of(DTYPE_U8), found;
    struct error error;
    int64_t volumes;
    size_t size;
    const char *path = path_of("damaged.tif");
    assert_int_equal(save_tiff(path, &volume, bytes, DTYPE_U8, TIFF_DEFLATE, true, &error), 0);
    unsigned char *file = load_bytes(path, &size);
    int refused = 0;
    for (int i = 0; i < DAMAGES; i++) {
        int64_t at = random_below((int64_t)size);
        unsigned char was = file[at];
        file[at] = (unsigned char)random_word();
        save_bytes(path, file, size);
        void *data = load_tiff(path, &as_stored, LIMIT, &found, &volumes, &error);
        refused += !data;
        free(data);
        file[at] = was;
    }
    assert_in_range(refused, DAMAGES / 100, DAMAGES);
    free(file);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),    cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_labels),     cmocka_unit_test(test_imagej),
        cmocka_unit_test(test_imagej_raw), cmocka_unit_test(test_reader_refusals),
        cmocka_unit_test(test_cut),        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
