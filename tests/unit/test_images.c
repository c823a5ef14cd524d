/* image_describe and image_read: PNG, JPEG, BMP and TIFF slices; broken and unfit ones are refused.
 */
#include "lib/scans/image.h"
#include "tests/unit/tiff_files.h"

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

enum { LIMIT = 1 << 20, SAMPLES = 4 * PIXELS };

static const struct image_settings plain = {.limit = LIMIT};

/* Write interleaved samples u1 or u2 as a PNG. */
static void write_png(const char *path, int bits, int colour, int interlace, const void *samples)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    FILE *file = fopen(path, "wb");
    png_color palette[256];
    for (int i = 0; i < 256; i++)
        palette[i] = (png_color){(png_byte)(255 - i), (png_byte)(255 - i), (png_byte)(255 - i)};
    png_init_io(png, file);
    png_set_IHDR(png, info, W, H, bits, colour, interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 256);
    png_write_info(png, info);
    if (bits == 16)
        png_set_swap(png);
    int passes = png_set_interlace_handling(png), channels = png_get_channels(png, info);
    for (int pass = 0; pass < passes; pass++)
        for (int row = 0; row < H; row++)
            png_write_row(png, (png_const_bytep)samples + row * W * channels * (bits / 8));
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

static void write_jpeg(const char *path, int channels, bool progressive, const uint8_t *samples)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr manager;
    FILE *file = fopen(path, "wb");
    jpeg.err = jpeg_std_error(&manager);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = W;
    jpeg.image_height = H;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (int row = 0; row < H; row++) {
        JSAMPROW line = (JSAMPROW)samples + row * W * channels;
        jpeg_write_scanlines(&jpeg, &line, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* A BMP of gray values; 8 bits have a palette that is inverted and only as long as it must be.
 * Returns its bytes, in a static buffer. */
static const uint8_t *make_bmp(int bits, bool top_down, const uint8_t *gray, size_t *size)
{
    static uint8_t file[54 + 1024 + H * (W * 4 + 3)];
    int bytes = bits / 8, stride = (W * bytes + 3) / 4 * 4, palette = bits == 8 ? 1024 : 0;
    memset(file, 0, sizeof file);
    memcpy(file, "BM", 2);
    put_u32(file + 10, (uint32_t)(54 + palette));
    put_u32(file + 14, 40);
    put_u32(file + 18, W);
    put_u32(file + 22, top_down ? (uint32_t)-H : H);
    file[26] = 1;
    file[28] = (uint8_t)bits;
    for (int i = 0; i < palette; i++)
        file[54 + i] = (uint8_t)(i % 4 == 3 ? 0 : 255 - i / 4);
    for (int row = 0; row < H; row++)
        for (int i = 0; i < W; i++) {
            uint8_t value = gray[row * W + i];
            uint8_t *pixel =
                file + 54 + palette + (top_down ? row : H - 1 - row) * stride + i * bytes;
            memset(pixel, bits == 8 ? 255 - value : value, (size_t)(bits == 8 ? 1 : 3));
        }
    *size = (size_t)(54 + palette + H * stride);
    return file;
}

static void assert_image(const char *path, enum dtype dtype, const void *expected, int tolerance)
{
    struct image image;
    struct error error = {{0}};
    static uint16_t samples[PIXELS];
    int status = image_describe(path, &plain, &image, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, 0);
    assert_int_equal(image.rows, H);
    assert_int_equal(image.columns, W);
    assert_int_equal(image.dtype, dtype);
    status = image_read(path, &plain, &image, samples, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, 0);
    for (int i = 0; i < PIXELS; i++) {
        int got = dtype == DTYPE_U8 ? ((uint8_t *)samples)[i] : samples[i];
        int wanted =
            dtype == DTYPE_U8 ? ((const uint8_t *)expected)[i] : ((const uint16_t *)expected)[i];
        assert_in_range(got - wanted + tolerance, 0, 2 * tolerance);
    }
}

/* Read as labels, the file's palette indices are these. */
static void assert_labels(const char *path, const uint8_t *indices)
{
    const struct image_settings labels = {.limit = LIMIT, .labels = true};
    struct image image;
    struct error error = {{0}};
    uint8_t samples[PIXELS];
    assert_int_equal(image_describe(path, &labels, &image, &error), 0);
    assert_int_equal(image_read(path, &labels, &image, samples, &error), 0);
    assert_memory_equal(samples, indices, PIXELS);
}

/* Describing or reading fails, with a reason that holds the words. */
static void refuse(const char *path, int64_t limit, const char *words)
{
    struct image image;
    struct error error = {{0}};
    static uint16_t samples[PIXELS];
    int status = image_describe(path, &(struct image_settings){.limit = limit}, &image, &error);
    if (status == 0)
        status = image_read(path, &plain, &image, samples, &error);
    assert_int_equal(status, -1);
    if (!strstr(error.text, words))
        print_error("'%s' does not hold '%s'\n", error.text, words);
    assert_non_null(strstr(error.text, words));
}

static uint8_t gray[PIXELS];
static uint16_t deep[PIXELS];

static int make_samples(void **state)
{
    for (int i = 0; i < PIXELS; i++) {
        gray[i] = (uint8_t)random_word();
        deep[i] = (uint16_t)random_word();
    }
    return directory_make(state);
}

/* The gray samples as all but the last of `channels`; alpha, where there is one, is opaque. */
static const void *interleave(int channels, bool alpha, int bytes)
{
    static uint16_t samples[SAMPLES];
    for (int i = 0; i < PIXELS; i++)
        for (int c = 0; c < channels; c++) {
            bool opaque = alpha && c == channels - 1;
            if (bytes == 1)
                ((uint8_t *)samples)[i * channels + c] = opaque ? UINT8_MAX : gray[i];
            else
                samples[i * channels + c] = opaque ? UINT16_MAX : deep[i];
        }
    return samples;
}

static void test_png(void **state)
{
    (void)state;
    static const struct {
        int colour, channels;
        bool alpha;
    } kinds[] = {
        {PNG_COLOR_TYPE_GRAY, 1, false},
        {PNG_COLOR_TYPE_GRAY_ALPHA, 2, true},
        {PNG_COLOR_TYPE_RGB, 3, false},
        {PNG_COLOR_TYPE_RGB_ALPHA, 4, true},
    };
    const char *path = path_of("a.png");
    for (int i = 0; i < 4; i++)
        for (int interlace = PNG_INTERLACE_NONE; interlace <= PNG_INTERLACE_ADAM7; interlace++) {
            write_png(path, 8, kinds[i].colour, interlace,
                      interleave(kinds[i].channels, kinds[i].alpha, 1));
            assert_image(path, DTYPE_U8, gray, 0);
            write_png(path, 16, kinds[i].colour, interlace,
                      interleave(kinds[i].channels, kinds[i].alpha, 2));
            assert_image(path, DTYPE_U16, deep, 0);
        }
    uint8_t inverted[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        inverted[i] = (uint8_t)(255 - gray[i]);
    write_png(path, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, inverted);
    assert_image(path, DTYPE_U8, gray, 0);
    assert_labels(path, inverted);
    unlink(path);
}

/* At quality 100 the table divides by 1: a coefficient is off by at most 1/2, a pixel by less than
 * 8·1/2 in the worst case, and by rounding. */
static void test_jpeg(void **state)
{
    (void)state;
    enum { TOLERANCE = 5 };
    const char *path = path_of("a.jpg");
    uint8_t smooth[PIXELS], colours[3 * PIXELS];
    for (int i = 0; i < PIXELS; i++)
        smooth[i] = (uint8_t)(3 * (i / W) + 2 * (i % W));
    for (int i = 0; i < 3 * PIXELS; i++)
        colours[i] = smooth[i / 3];
    for (int progressive = 0; progressive < 2; progressive++) {
        write_jpeg(path, 1, progressive, smooth);
        assert_image(path, DTYPE_U8, smooth, TOLERANCE);
        write_jpeg(path, 3, progressive, colours);
        assert_image(path, DTYPE_U8, smooth, TOLERANCE);
    }
    colours[0] = 255;
    write_jpeg(path, 3, false, colours);
    refuse(path, LIMIT, "colours: ");
    uint8_t inks[4 * PIXELS] = {0};
    write_jpeg(path, 4, false, inks);
    refuse(path, LIMIT, "4 colour components");
    unlink(path);
}

static void test_bmp(void **state)
{
    (void)state;
    const char *path = path_of("a.bmp");
    uint8_t inverted[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        inverted[i] = (uint8_t)(255 - gray[i]);
    for (int bits = 8; bits <= 32; bits += bits == 8 ? 16 : 8)
        for (int top_down = 0; top_down < 2; top_down++) {
            size_t size;
            const uint8_t *file = make_bmp(bits, top_down, gray, &size);
            save_bytes(path, file, size);
            assert_image(path, DTYPE_U8, gray, 0);
            if (bits == 8)
                assert_labels(path, inverted);
            save_bytes(path, file, size - 1);
            refuse(path, LIMIT, "cut off: ");
        }
    unlink(path);
}

/* Rows of 1 or 4 bits a pixel, the first one highest; entry i of the palette is 255 - i. */
static void test_bmp_packed(void **state)
{
    (void)state;
    const char *path = path_of("a.bmp");
    for (int bits = 1; bits <= 4; bits += 3) {
        enum { STRIDE = (W * 4 + 31) / 32 * 4 };
        int stride = (W * bits + 31) / 32 * 4, mask = (1 << bits) - 1, start = 54 + 4 * (mask + 1);
        uint8_t file[54 + 64 + H * STRIDE] = {'B', 'M'}, indices[PIXELS], expected[PIXELS];
        put_u32(file + 10, (uint32_t)start);
        put_u32(file + 14, 40);
        put_u32(file + 18, W);
        put_u32(file + 22, H);
        file[26] = 1;
        file[28] = (uint8_t)bits;
        for (int i = 0; i <= mask; i++)
            memset(file + 54 + 4 * i, 255 - i, 3);
        for (int i = 0; i < PIXELS; i++) {
            int row = i / W, bit = i % W * bits;
            indices[i] = (uint8_t)(gray[i] & mask);
            expected[i] = (uint8_t)(255 - indices[i]);
            file[start + (H - 1 - row) * stride + bit / 8] |=
                (uint8_t)(indices[i] << (8 - bits - bit % 8));
        }
        save_bytes(path, file, (size_t)(start + H * stride));
        assert_image(path, DTYPE_U8, expected, 0);
        assert_labels(path, indices);
        save_bytes(path, file, (size_t)(start + H * stride - 1));
        refuse(path, LIMIT, "cut off: ");
    }
    unlink(path);
}

static void test_bmp_refusals(void **state)
{
    (void)state;
    const char *path = path_of("a.bmp");
    uint8_t file[54 + 1024 + H * (W + 3)];
    static const struct {
        int offset;
        uint32_t value;
        const char *words;
    } cases[] = {
        {14, 12, "a BMP header of 12 bytes"},
        {18, 0x7fffffff, "absurd size: "},
        {18, 0, "no size"},
        {18, (uint32_t)-W, "no size"},
        {22, 0x80000000, "absurd size: "},
        {28, 16, "a BMP of 16 bits"},
        {30, 1, "with compression 1"},
        {10, 0xffffffff, "cut off: "},
        {46, 2, "colours: palette entry"}, /* two entries only */
        {54, 7, "colours: palette entry"}, /* the first one is blue, and used */
    };
    gray[PIXELS - 1] = 255;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        memcpy(file, make_bmp(8, false, gray, &size), sizeof file);
        put_u32(file + cases[i].offset, cases[i].value);
        save_bytes(path, file, size);
        refuse(path, LIMIT, cases[i].words);
    }
    unlink(path);
}

static void test_tiff(void **state)
{
    (void)state;
    const char *path = path_of("a.tif");
    write_layout(path, &(struct layout_case){.bits = 16, .photometric = 1, .pages = 1}, deep);
    assert_image(path, DTYPE_U16, deep, 0);
    uint16_t inverted[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        inverted[i] = (uint16_t)(UINT16_MAX - deep[i]);
    write_layout(path, &(struct layout_case){.bits = 16, .photometric = 0, .pages = 1}, inverted);
    assert_image(path, DTYPE_U16, deep, 0);
    uint16_t pages[2 * PIXELS] = {0};
    write_layout(path, &(struct layout_case){.bits = 16, .photometric = 1, .pages = 2}, pages);
    refuse(path, LIMIT, "a TIFF of 2 pages among slices");
    unlink(path);
}

static void test_colours(void **state)
{
    (void)state;
    const char *path = path_of("a.png");
    uint8_t samples[SAMPLES];
    memcpy(samples, interleave(4, true, 1), sizeof samples);
    samples[(2 * W + 3) * 4 + 1] ^= 1;
    write_png(path, 8, PNG_COLOR_TYPE_RGB_ALPHA, PNG_INTERLACE_NONE, samples);
    refuse(path, LIMIT, "row 2, column 3; make it grayscale");
    samples[(2 * W + 3) * 4 + 1] ^= 1;
    samples[(2 * W + 3) * 4 + 3] = 254;
    write_png(path, 8, PNG_COLOR_TYPE_RGB_ALPHA, PNG_INTERLACE_NONE, samples);
    refuse(path, LIMIT, "transparent at row 2, column 3");
    unlink(path);
}

/* What no file can hold is refused by its header; so is what passes the bound. */
static void test_absurd(void **state)
{
    (void)state;
    size_t size;
    const char *path = path_of("a.png");
    write_png(path, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, gray);
    refuse(path, 8 * PIXELS - 1, "absurd size: ");
    unsigned char *file = load_bytes(path, &size);
    const unsigned char huge[] = {0x20, 0, 0, 0, 0x10, 0, 0, 0};
    memcpy(file + 16, huge, sizeof huge);
    const png_uint_32 checksum = (png_uint_32)crc32(0, file + 12, 17);
    for (int i = 0; i < 4; i++)
        file[29 + i] = (unsigned char)(checksum >> 8 * (3 - i));
    save_bytes(path, file, size);
    refuse(path, LIMIT, "absurd size: ");
    refuse(path, INT64_MAX, "cut off: ");
    free(file);
    save_bytes(path, "PN", 2);
    refuse(path, LIMIT, "no PNG, JPEG, BMP or TIFF");
    unlink(path);
    refuse(path, LIMIT, "No such file");
}

/* Every cut of a file is refused; damage is refused or read, but nothing breaks. */
static void check_broken(const char *path)
{
    enum { DAMAGES = 200, STEP = 37 };
    struct image image;
    struct error error;
    static uint16_t samples[PIXELS];
    size_t size;
    unsigned char *file = load_bytes(path, &size);
    for (size_t length = 0; length + 2 < size; length += STEP) {
        save_bytes(path, file, length);
        refuse(path, LIMIT, "");
    }
    for (int i = 0; i < DAMAGES; i++) {
        int64_t at = random_below((int64_t)size);
        unsigned char was = file[at];
        file[at] = (unsigned char)random_word();
        save_bytes(path, file, size);
        if (image_describe(path, &plain, &image, &error) == 0 &&
            image.rows * image.columns <= PIXELS)
            image_read(path, &plain, &image, samples, &error);
        file[at] = was;
    }
    free(file);
    unlink(path);
}

static void test_broken(void **state)
{
    (void)state;
    size_t size;
    const char *path = path_of("broken");
    write_png(path, 16, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, deep);
    check_broken(path);
    write_jpeg(path, 1, false, gray);
    check_broken(path);
    write_jpeg(path, 1, true, gray);
    check_broken(path);
    const uint8_t *file = make_bmp(24, false, gray, &size);
    save_bytes(path, file, size);
    check_broken(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_png),          cmocka_unit_test(test_jpeg),
        cmocka_unit_test(test_bmp),          cmocka_unit_test(test_bmp_packed),
        cmocka_unit_test(test_bmp_refusals), cmocka_unit_test(test_tiff),
        cmocka_unit_test(test_colours),      cmocka_unit_test(test_absurd),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, make_samples, directory_remove);
}
