/* tiff_writer: what it writes tiff_reader and others read; what it refuses. */
#include "tests/unit/tiff_files.h"

#include <math.h>

/* Every type and compression, from u1 and from f4. */
static void test_round_trip(void **state)
{
    (void)state;
    static const enum dtype types[] = {DTYPE_U8, DTYPE_U16, DTYPE_F32};
    static uint8_t bytes[VOXELS];
    static float reals[VOXELS];
    const char *path = path_of("volume.tif");
    random_bytes(bytes, VOXELS);
    for (int i = 0; i < VOXELS; i++)
        reals[i] = (float)(bytes[i] / 127.5 - 1);
    for (int from = 0; from < 2; from++)
        for (int t = 0; t < 3; t++)
            for (int c = 0; c < TIFF_COMPRESSIONS; c++) {
                struct array volume = volume_of(from ? DTYPE_F32 : DTYPE_U8), found;
                struct error error = {""};
                const void *data = from ? (void *)reals : (void *)bytes;
                if (save_tiff(path, &volume, data, types[t], (enum tiff_compression)c, true,
                              &error))
                    fail_msg("%s", error.text);
                void *read = load_good(path, &as_stored, &found);
                assert_shape(&found, t ? DTYPE_F32 : DTYPE_U8, D, H, W);
                assert_string_equal(found.kind, "volume");
                assert_string_equal(found.axes, "DHW");
                if (t == 0)
                    assert_memory_equal(read, bytes, sizeof bytes);
                else
                    assert_memory_equal(read, reals, sizeof reals);
                free(read);
            }
    assert_int_equal(count_files(), 1);
    unlink(path);
}

/* f4 samples that are no eighth bits, rounding, clamping. */
static void test_values(void **state)
{
    (void)state;
    const float value[6] = {-1.5f, -1, 0.1f, 0x1p-30f, 1, 1.25f};
    const uint8_t byte[6] = {0, 0, 140, 128, 255, 255}; /* (x + 1)·127.5, halves up */
    const float kept[6] = {-1, -1, 0.1f, 0x1p-30f, 1, 1};
    struct array volume = volume_of(DTYPE_F32), found;
    volume.shape[0] = 1;
    volume.shape[1] = 2;
    volume.shape[2] = 3;
    struct error error;
    const char *path = path_of("values.tif");
    struct tiff_writer *writer;
    assert_int_equal(tiff_writer_open(&writer, path, &volume, DTYPE_U8, TIFF_LZW, true, &error), 0);
    assert_int_equal(tiff_writer_write(writer, value, &error), 0);
    assert_int_equal(tiff_writer_clamped(writer), 2);
    assert_int_equal(tiff_writer_close(writer, path, &error), 0);
    void *read = load_good(path, &as_stored, &found);
    assert_memory_equal(read, byte, sizeof byte);
    free(read);
    assert_int_equal(save_tiff(path, &volume, value, DTYPE_F32, TIFF_NONE, true, &error), 0);
    read = load_good(path, &as_stored, &found);
    assert_memory_equal(read, kept, sizeof kept);
    free(read);
    unlink(path);
}

static void test_metadata(void **state)
{
    (void)state;
    static uint8_t bytes[VOXELS];
    struct array volume = volume_of(DTYPE_U8), found;
    struct error error;
    const char *path = path_of("metadata.tif");
    strcpy(volume.kind, "labels");
    volume.spacing[0] = 0.1175;
    volume.spacing[1] = 2.0 / 640;
    volume.spacing[2] = 0.8;
    volume.index = 4;
    volume.of = 9;
    strcpy(volume.history, "tiff-to-tensor 'an eye.tif'\ndownsample -f 2 \xc3\xa4");
    assert_int_equal(save_tiff(path, &volume, bytes, DTYPE_U8, TIFF_DEFLATE, true, &error), 0);
    free(load_good(path, &as_stored, &found));
    assert_true(same_array(&found, &volume));
    /* A range asks for voxels, so they are labels no more. */
    free(load_good(path, &(struct tiff_mapping){.range = true, .low = 0, .high = 3}, &found));
    assert_string_equal(found.kind, "volume");
    assert_int_equal(found.dtype, DTYPE_F32);

    TIFF *tiff = TIFFOpen(path, "r");
    const char *text = NULL;
    float x = 0, y = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEDESCRIPTION, &text);
    TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x);
    TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y);
    assert_memory_equal(text, "ImageJ=", 7);
    assert_non_null(strstr(text, "\nimages=3\nslices=3\nunit=mm\nspacing=0.1175\n"));
    assert_float_equal(x, 1.25, 1e-6);
    assert_float_equal(y, 320, 1e-3);
    TIFFClose(tiff);
    unlink(path);
}

static void test_crop(void **state)
{
    (void)state;
    static uint8_t bytes[VOXELS];
    struct array volume = volume_of(DTYPE_U8), found;
    struct error error;
    const char *path = path_of("crop.tif");
    random_bytes(bytes, VOXELS);
    const int64_t original[3] = {2, 20, 31}, padded[3] = {D, H, W};
    memcpy(volume.original, original, sizeof original);
    memcpy(volume.padded, padded, sizeof padded);
    assert_int_equal(save_tiff(path, &volume, bytes, DTYPE_U8, TIFF_DEFLATE, true, &error), 0);
    uint8_t *read = load_good(path, &as_stored, &found);
    assert_shape(&found, DTYPE_U8, 2, 20, 31);
    assert_int_equal(found.original[0], 0);
    for (int64_t d = 0; d < 2; d++)
        for (int64_t h = 0; h < 20; h++)
            assert_memory_equal(read + (d * 20 + h) * 31, bytes + (d * H + h) * W, 31);
    free(read);
    assert_int_equal(save_tiff(path, &volume, bytes, DTYPE_U8, TIFF_DEFLATE, false, &error), 0);
    read = load_good(path, &as_stored, &found);
    assert_shape(&found, DTYPE_U8, D, H, W);
    assert_memory_equal(found.original, original, sizeof original);
    assert_memory_equal(read, bytes, sizeof bytes);
    free(read);
    unlink(path);
}

static void test_writer_refusals(void **state)
{
    (void)state;
    struct array volume = volume_of(DTYPE_F32), labels = volume_of(DTYPE_U8), latent = volume;
    struct array surfaces = volume, words = volume_of(DTYPE_U16);
    strcpy(labels.kind, "labels");
    strcpy(surfaces.kind, "surfaces");
    latent.rank = 4;
    latent.shape[3] = 2;
    const struct {
        const struct array *array;
        const char *path, *reason;
        enum dtype type;
    } cases[] = {
        {&labels, "a.tif", "labels are written as u1", DTYPE_F32},
        {&latent, "a.tif", "no volume", DTYPE_U8},
        {&surfaces, "a.tif", "no volume", DTYPE_U8},
        {&words, "a.tif", "no volume", DTYPE_U8},
        {&volume, "none/a.tif", "No such file", DTYPE_U8},
    };
    struct error error;
    struct tiff_writer *writer;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tiff_writer_open(&writer, path_of(cases[i].path), cases[i].array,
                                          cases[i].type, TIFF_NONE, true, &error),
                         -1);
        if (!strstr(error.text, cases[i].reason))
            fail_msg("case %zu: %s", i, error.text);
    }
    static const char *const no_files[] = {NULL, "-", "/dev/null"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            tiff_writer_open(&writer, no_files[i], &volume, DTYPE_U8, TIFF_NONE, true, &error), -1);
        assert_non_null(strstr(error.text, "regular file"));
    }
    static float reals[VOXELS];
    reals[VOXELS - 1] = NAN;
    assert_int_equal(save_tiff(path_of("a.tif"), &volume, reals, DTYPE_U8, TIFF_NONE, true, &error),
                     -1);
    assert_non_null(strstr(error.text, "slice 2: NaN"));
    assert_int_equal(
        tiff_writer_open(&writer, path_of("a.tif"), &volume, DTYPE_U8, TIFF_NONE, true, &error), 0);
    assert_int_equal(tiff_writer_write(writer, reals, &error), 0);
    assert_int_equal(tiff_writer_close(writer, path_of("a.tif"), &error), -1);
    assert_non_null(strstr(error.text, "only 1 of 3 slices"));
    assert_int_equal(count_files(), 0);
}

/* Two bytes after the byte order: 42 is a classic TIFF, 43 a BigTIFF. */
static int written_version(int64_t slices, enum tiff_compression compression)
{
    struct array volume = volume_of(DTYPE_U8);
    struct tiff_writer *writer;
    struct error error = {""};
    unsigned char start[4] = {0};
    volume.shape[0] = slices;
    volume.shape[1] = volume.shape[2] = 1000;
    const char *path = path_of("large.tif");
    assert_int_equal(tiff_writer_open(&writer, path, &volume, DTYPE_U8, compression, true, &error),
                     0);
    DIR *list = opendir(directory);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (strncmp(entry->d_name, "large.tif", 9) == 0) {
            FILE *file = fopen(path_of(entry->d_name), "rb");
            assert_int_equal(fread(start, 1, sizeof start, file), sizeof start);
            fclose(file);
        }
    closedir(list);
    tiff_writer_abort(writer);
    return start[2] + start[3];
}

static void test_bigtiff(void **state)
{
    (void)state;
    assert_int_equal(written_version(4200, TIFF_NONE), 42);
    assert_int_equal(written_version(4295, TIFF_NONE), 43);
    assert_int_equal(written_version(4200, TIFF_LZW), 43);
    assert_int_equal(written_version(2500, TIFF_LZW), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_values),
        cmocka_unit_test(test_metadata),        cmocka_unit_test(test_crop),
        cmocka_unit_test(test_writer_refusals), cmocka_unit_test(test_bigtiff),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
