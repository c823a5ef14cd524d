/* Pictures of tensors, their PNG files, and the names of numbered files. */
#include "lib/core/numbers.h"
#include "lib/io/numbered.h"
#include "lib/io/palette.h"
#include "lib/io/png.h"
#include "lib/io/view.h"
#include "tests/unit/stream_files.h"

#include <math.h>
#include <png.h>

enum { GAP = 4, GAP_GRAY = 96 };

static struct array tensor(enum dtype dtype, int rank, const int64_t *shape, const char *kind)
{
    struct array array = {.dtype = dtype, .rank = rank};
    memcpy(array.shape, shape, (size_t)rank * sizeof *shape);
    strcpy(array.kind, kind);
    return array;
}

/* The picture of a whole array of f32 values. */
static struct picture draw(const struct array *array, const float *data,
                           const struct view_settings *settings)
{
    struct view *view;
    struct picture picture;
    struct error error = {""};
    if (view_begin(&view, array, settings, &error) < 0)
        fail_msg("%s", error.text);
    for (int64_t d = 0; d < array_slices(array); d++)
        view_add(view, data + d * array_slice_count(array), NULL);
    if (view_finish(view, &picture, &error) < 0)
        fail_msg("%s", error.text);
    return picture;
}

static void assert_picture(const struct picture *picture, int64_t rows, int64_t columns)
{
    assert_int_equal(picture->rows, rows);
    assert_int_equal(picture->columns, columns);
}

static int gray_at(const struct picture *picture, int64_t row, int64_t column)
{
    assert_true(row < picture->rows && column < picture->columns);
    return picture->gray[row * picture->columns + column];
}

/* 0, 1, 2 … so that a gray of a u1 volume is the voxel's number. */
static void count_up(float *data, int count)
{
    for (int i = 0; i < count; i++)
        data[i] = (float)i;
}

static void test_cuts(void **state)
{
    (void)state;
    enum { D = 2, H = 3, W = 5 };
    const struct array volume = tensor(DTYPE_U8, 3, (const int64_t[]){D, H, W}, "volume");
    float data[D * H * W];
    count_up(data, D * H * W);
    const int64_t at[3] = {0, 2, 4}, centre[3] = {1, 1, 2};
    for (int k = 0; k < 2; k++) {
        const int64_t *p = k ? centre : at;
        struct picture picture = draw(&volume, data, &(struct view_settings){.at = k ? NULL : at});
        assert_picture(&picture, H + GAP + D, W + GAP + D);
        for (int h = 0; h < H; h++)
            for (int w = 0; w < W; w++)
                assert_int_equal(gray_at(&picture, h, w), (p[0] * H + h) * W + w);
        for (int h = 0; h < H; h++)
            for (int d = 0; d < D; d++)
                assert_int_equal(gray_at(&picture, h, W + GAP + d), (d * H + h) * W + p[2]);
        for (int d = 0; d < D; d++)
            for (int w = 0; w < W; w++)
                assert_int_equal(gray_at(&picture, H + GAP + d, w), (d * H + p[1]) * W + w);
        assert_int_equal(gray_at(&picture, H, 0), GAP_GRAY);
        assert_int_equal(gray_at(&picture, H + GAP, W + GAP), GAP_GRAY);
        picture_free(&picture);
    }
}

/* Voxels three times as far apart along D and half as far along H as along W. */
static void test_spacing(void **state)
{
    (void)state;
    enum { D = 2, H = 4, W = 3 };
    struct array volume = tensor(DTYPE_F32, 3, (const int64_t[]){D, H, W}, "");
    const double spacing[3] = {0.03, 0.005, 0.01};
    memcpy(volume.spacing, spacing, sizeof spacing);
    float data[D * H * W];
    for (int i = 0; i < D * H * W; i++)
        data[i] = i % W == 0 ? -1 : i % W == 1 ? 0 : 1;
    struct picture picture = draw(&volume, data, &(struct view_settings){0});
    assert_picture(&picture, H + GAP + 6 * D, 2 * W + GAP + 6 * D);
    /* Columns -1, 0, 1 at twice the width, linearly: -1, -3/4, -1/4, 1/4, 3/4, 1. */
    const int gray[6] = {0, 32, 96, 159, 223, 255};
    for (int x = 0; x < 6; x++)
        assert_int_equal(gray_at(&picture, 1, x), gray[x]);
    picture_free(&picture);

    volume.dtype = DTYPE_U8;
    strcpy(volume.kind, "labels");
    count_up(data, W);
    picture =
        draw(&volume, data, &(struct view_settings){.mode = VIEW_CUTS, .at = (int64_t[]){0, 0, 0}});
    const int nearest[6] = {0, 0, 128, 128, 255, 255}; /* labels 0, 1, 2 of at most 2 */
    for (int x = 0; x < 6; x++)
        assert_int_equal(gray_at(&picture, 0, x), nearest[x]);
    picture_free(&picture);

    volume.spacing[0] = 1e9; /* no picture of 10^12 pixels */
    picture = draw(&volume, data, &(struct view_settings){0});
    assert_in_range(picture.rows * picture.columns, 1, 4096 * 4096);
    picture_free(&picture);
}

static void test_montage(void **state)
{
    (void)state;
    enum { D = 10, H = 2, W = 3 };
    const struct array volume = tensor(DTYPE_U8, 3, (const int64_t[]){D, H, W}, "volume");
    float data[D * H * W];
    count_up(data, D * H * W);
    const struct view_settings five = {.mode = VIEW_MONTAGE, .count = 5};
    struct picture picture = draw(&volume, data, &five);
    assert_picture(&picture, 2 * H + GAP, 3 * W + 2 * GAP);
    for (int i = 0; i < 5; i++) /* slices 1, 3, 5, 7, 9, row by row of three */
        assert_int_equal(gray_at(&picture, i / 3 * (H + GAP), i % 3 * (W + GAP)),
                         (2 * i + 1) * H * W);
    assert_int_equal(gray_at(&picture, H + GAP, 2 * (W + GAP)), GAP_GRAY);
    picture_free(&picture);
    const struct view_settings all = {.mode = VIEW_MONTAGE};
    picture = draw(&volume, data, &all); /* 16 asked for, 10 there */
    assert_picture(&picture, 3 * H + 2 * GAP, 4 * W + 3 * GAP);
    picture_free(&picture);
}

static void test_en_face(void **state)
{
    (void)state;
    const struct array volume = tensor(DTYPE_F32, 3, (const int64_t[]){2, 4, 2}, "volume");
    const float data[16] = {0, 1, 2, 1, 0, 1, 2, 1, 4, 8, 0, 0, 0, 0, 4, 0}; /* means 1 1 2 2 */
    struct picture picture = draw(&volume, data, &(struct view_settings){.mode = VIEW_EN_FACE});
    assert_picture(&picture, 2, 2);
    assert_memory_equal(picture.gray, ((uint8_t[]){0, 0, 255, 255}), 4);
    picture_free(&picture);
    const struct view_settings window = {.mode = VIEW_EN_FACE, .windowed = true, .window = {0, 4}};
    picture = draw(&volume, data, &window);
    assert_memory_equal(picture.gray, ((uint8_t[]){64, 64, 128, 128}), 4);
    picture_free(&picture);
    const struct array map = tensor(DTYPE_U8, 2, (const int64_t[]){4, 4}, "en-face map");
    picture = draw(&map, data, &(struct view_settings){0});
    assert_picture(&picture, 4, 4);
    for (int i = 0; i < 16; i++)
        assert_int_equal(picture.gray[i], (int)data[i]);
    picture_free(&picture);
}

static void assert_colour(const struct picture *picture, int64_t row, int64_t column, int label,
                          double opacity)
{
    int64_t at = row * picture->columns + column;
    assert_non_null(picture->colour);
    for (int k = 0; k < 3; k++) {
        double gray = picture->gray[at];
        double expected = label ? gray + opacity * (palette_colour(label)[k] - gray) : gray;
        assert_int_equal(picture->colour[3 * at + k], (int)floor(expected + 0.5));
    }
}

/* Labels have the colours of the palette, whose first one comes again after the last. */
static void test_label_colours(void **state)
{
    (void)state;
    const struct array map = tensor(DTYPE_U8, 2, (const int64_t[]){1, 4}, "en-face map");
    const float label[4] = {0, 1, 2, PALETTE + 1};
    struct picture picture = draw(&map, label, &(struct view_settings){0});
    for (int x = 0; x < 4; x++)
        assert_colour(&picture, 0, x, (int)label[x], 1);
    assert_memory_equal(picture.colour + 3, picture.colour + 9, 3);
    assert_memory_equal(picture.colour, ((uint8_t[]){0, 0, 0}), 3);
    struct picture gray = {.rows = 1, .columns = 1, .gray = malloc(1)};
    struct error error;
    gray.gray[0] = 77;
    assert_int_equal(picture_add_beside(&picture, &gray, &error), 0);
    assert_colour(&picture, 0, 1, 1, 1);
    assert_colour(&picture, 0, 4 + GAP, 0, 1);
    assert_colour(&picture, 0, 4, 0, 1);
    picture_free(&picture);
    const struct view_settings window = {.windowed = true, .window = {0, 1}};
    picture = draw(&map, label, &window);
    assert_null(picture.colour);
    picture_free(&picture);
}

/* Labels over the three cuts of a volume: a voxel's number, from 0, modulo 5. */
static void test_overlay(void **state)
{
    (void)state;
    enum { D = 2, H = 3, W = 4 };
    const struct array volume = tensor(DTYPE_U8, 3, (const int64_t[]){D, H, W}, "volume");
    const struct view_settings half = {.opacity = 0.5};
    float data[D * H * W];
    uint8_t label[D * H * W];
    struct picture picture;
    struct view *view;
    struct error error;
    count_up(data, D * H * W);
    for (int i = 0; i < D * H * W; i++)
        label[i] = (uint8_t)(i % 5);
    assert_int_equal(view_begin(&view, &volume, &half, &error), 0);
    for (int d = 0; d < D; d++)
        view_add(view, data + d * H * W, label + d * H * W);
    assert_int_equal(view_finish(view, &picture, &error), 0);
    for (int h = 0; h < H; h++)
        for (int w = 0; w < W; w++)
            assert_colour(&picture, h, w, ((D / 2 * H + h) * W + w) % 5, 0.5);
    for (int h = 0; h < H; h++)
        for (int d = 0; d < D; d++)
            assert_colour(&picture, h, W + GAP + d, ((d * H + h) * W + W / 2) % 5, 0.5);
    for (int d = 0; d < D; d++)
        for (int w = 0; w < W; w++)
            assert_colour(&picture, H + GAP + d, w, ((d * H + H / 2) * W + w) % 5, 0.5);
    picture_free(&picture);
}

/* Each channel has its own grays, from its 1st to its 99th percentile, whatever its scale; values
 * that are not finite are black. */
static void test_channels(void **state)
{
    (void)state;
    enum { D = 2, C = 3, H = 10, W = 11 };
    const struct array latent = tensor(DTYPE_F32, 4, (const int64_t[]){D, C, H, W}, "latent");
    static float data[D * C * H * W];
    for (int d = 0; d < D; d++)
        for (int c = 0; c < C; c++)
            for (int i = 0; i < H * W; i++)
                data[(d * C + c) * H * W + i] = (float)(c == 1 ? 1000 * i : c == 2 ? 7 : -i);
    data[H * W + 3] = NAN;
    data[H * W + 4] = INFINITY;
    struct picture picture = draw(&latent, data, &(struct view_settings){0});
    assert_picture(&picture, C * H + (C - 1) * GAP, D * W + GAP);
    const int second = H + GAP, third = 2 * (H + GAP);
    assert_int_equal(gray_at(&picture, 0, 0), 255);
    assert_int_equal(gray_at(&picture, H - 1, W - 1), 0);
    assert_int_equal(gray_at(&picture, second, 0), 0);
    assert_int_equal(gray_at(&picture, second, 3), 0);
    assert_int_equal(gray_at(&picture, second, 4), 0);
    assert_int_equal(gray_at(&picture, second + H - 1, W - 1), 255);
    assert_in_range(gray_at(&picture, second + 5, 0), 120, 135);
    assert_int_equal(gray_at(&picture, third + 5, 5), 0);
    picture_free(&picture);

    const struct array surfaces = tensor(DTYPE_F32, 3, (const int64_t[]){C, H, W}, "surfaces");
    picture = draw(&surfaces, data, &(struct view_settings){0});
    assert_picture(&picture, 2 * H + GAP, 2 * W + GAP);
    assert_int_equal(gray_at(&picture, H - 1, W - 1), 0);
    assert_int_equal(gray_at(&picture, H - 1, 2 * W + GAP - 1), 255);
    picture_free(&picture);
}

static void test_refusals(void **state)
{
    (void)state;
    const int64_t shape[5] = {2, 3, 4, 5, 6};
    const struct {
        int rank;
        const char *kind;
        struct view_settings settings;
        const char *reason;
    } cases[] = {
        {1, "", {0}, "cannot be shown"},
        {5, "", {0}, "cannot be shown"},
        {2, "", {.mode = VIEW_CUTS}, "is shown in mode en-face, not cuts"},
        {3, "volume", {.mode = VIEW_CHANNELS}, "volume f4 (2, 3, 4) is shown in mode cuts"},
        {3, "surfaces", {.mode = VIEW_CUTS}, "is shown in mode montage, not cuts"},
        {4, "latent", {.mode = VIEW_MONTAGE}, "is shown in mode channels, not montage"},
        {3, "volume", {.at = (const int64_t[]){0, 3, 0}}, "voxel 0,3,0 is outside of (2, 3, 4)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct array array = tensor(DTYPE_F32, cases[i].rank, shape, cases[i].kind);
        struct view *view;
        struct error error = {""};
        assert_int_equal(view_begin(&view, &array, &cases[i].settings, &error), -1);
        if (!strstr(error.text, cases[i].reason))
            fail_msg("case %zu: %s", i, error.text);
    }
    const struct array many = tensor(DTYPE_F32, 4, (const int64_t[]){2, 5000, 1, 1}, "latent");
    struct view *view;
    struct error error;
    assert_int_equal(view_begin(&view, &many, &(struct view_settings){0}, &error), -1);
    assert_non_null(strstr(error.text, "5000 times 2 planes"));
}

static void test_png(void **state)
{
    (void)state;
    uint8_t gray[3 * 5], back[3 * 5];
    for (int i = 0; i < 15; i++)
        gray[i] = (uint8_t)(17 * i);
    const struct picture picture = {.rows = 3, .columns = 5, .gray = gray};
    struct error error;
    const char *path = path_of("picture.png");
    assert_int_equal(png_write(path, &picture, &error), 0);
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    assert_int_equal(image.width, 5);
    assert_int_equal(image.height, 3);
    assert_int_equal(image.format, PNG_FORMAT_GRAY);
    assert_true(png_image_finish_read(&image, NULL, back, 0, NULL));
    assert_memory_equal(back, gray, sizeof gray);
    assert_int_equal(png_write(path_of("none/picture.png"), &picture, &error), -1);
    assert_int_equal(count_files(), 1);
    unlink(path);
}

static void test_numbered(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        int64_t index;
        bool several;
        const char *name; /* NULL: refused */
    } cases[] = {
        {"eye.tif", 0, false, "eye.tif"},
        {"eye.tif", 7, true, "eye-007.tif"},
        {"a.b/eye", 1234, true, "a.b/eye-1234"},
        {"a.b/.eye", 1, true, "a.b/.eye-001"},
        {"eye-%d.tif", 12, false, "eye-12.tif"},
        {"eye-%03d.tif", 12, true, "eye-012.tif"},
        {"100%%-%2d", 3, true, "100%- 3"},
        {"%d-%d.tif", 0, true, NULL},
        {"50%.tif", 0, true, NULL},
        {"%s.tif", 0, true, NULL},
        {"%99d.tif", 0, true, NULL},
        {"%%", 0, true, NULL},
        {"%", 0, true, NULL},
        {"%ld.tif", 0, true, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *name;
        struct error error = {""};
        int status =
            numbered_name(&name, cases[i].pattern, cases[i].index, cases[i].several, &error);
        if (cases[i].name) {
            assert_int_equal(status, 0);
            assert_string_equal(name, cases[i].name);
        } else {
            assert_int_equal(status, -1);
            assert_null(name);
            assert_non_null(strstr(error.text, "a pattern for file names"));
        }
        free(name);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    double number[3];
    struct error error;
    assert_int_equal(numbers_parse("-1,2.5e1", 2, number, &error), 0);
    assert_true(number[0] == -1 && number[1] == 25);
    static const char *const wrong[] = {"",     "1",   "1,",    ",1",   "1,2,3",
                                        "1, 2", "1,x", "1,inf", "nan,1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (numbers_parse(wrong[i], 2, number, &error) == 0)
            fail_msg("\"%s\" was taken", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),          cmocka_unit_test(test_spacing),
        cmocka_unit_test(test_montage),       cmocka_unit_test(test_en_face),
        cmocka_unit_test(test_channels),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_label_colours), cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_png),           cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
