/* The measures of octmetrics: goldens, hand cases, refusals. */
#include "lib/metrics/measure.h"
#include "lib/metrics/report.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Results and goldens are double sums of less than 10^4 terms, added in different orders. */
static const double tolerance = 1e-12;

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= tolerance * fmax(1, fabs(expected))))
        fail_msg("%.17g, expected %.17g", value, expected);
}

static struct array describe(enum dtype dtype, int64_t d, int64_t h, int64_t w)
{
    return (struct array){.dtype = dtype, .rank = 3, .shape = {d, h, w}};
}

/* Measure arrays that are whole in memory, in their own dtypes. */
static struct measurement measure(enum measure_kind kind, bool background, const struct array *a,
                                  const void *data_a, const struct array *b, const void *data_b)
{
    struct measure *measure;
    struct measurement result;
    struct error error = {""};
    const struct measure_settings settings = {.background = background};
    int64_t count = array_slice_count(a);
    float *slice_a = calloc((size_t)count, sizeof *slice_a);
    float *slice_b = calloc((size_t)count, sizeof *slice_b);
    assert_true(slice_a && slice_b);
    if (measure_begin(&measure, kind, &settings, a, b, &error) < 0)
        fail_msg("%s", error.text);
    for (int64_t d = 0; d < array_slices(a); d++) {
        int64_t start = d * count;
        array_to_f32((const char *)data_a + start * dtype_size(a->dtype), a->dtype, slice_a, count);
        if (b)
            array_to_f32((const char *)data_b + start * dtype_size(b->dtype), b->dtype, slice_b,
                         count);
        assert_int_equal(measure_add(measure, slice_a, b ? slice_b : NULL, &error), 0);
    }
    measure_finish(measure, &result);
    free(slice_a);
    free(slice_b);
    return result;
}

/* The overall value alone. */
static double value_of(enum measure_kind kind, const struct array *a, const void *data_a,
                       const struct array *b, const void *data_b)
{
    struct measurement result = measure(kind, false, a, data_a, b, data_b);
    measurement_free(&result);
    return result.value;
}

static struct array array_of(const struct safetensor *tensor)
{
    assert_int_equal(tensor->rank, 3);
    return describe(tensor->dtype, tensor->shape[0], tensor->shape[1], tensor->shape[2]);
}

static struct measurement measure_golden(const struct safetensors *file, enum measure_kind kind,
                                         const char *name_a, const char *name_b)
{
    const struct safetensor *a = golden_tensor(file, name_a), *b = NULL;
    struct array array_a = array_of(a), array_b = {0};
    if (name_b) {
        b = golden_tensor(file, name_b);
        array_b = array_of(b);
    }
    return measure(kind, true, &array_a, a->data, b ? &array_b : NULL, b ? b->data : NULL);
}

/* Element i of a float64 result. */
static double golden_value(const struct safetensors *file, const char *name, int64_t i)
{
    const struct safetensor *tensor = golden_tensor(file, name);
    assert_int_equal(tensor->dtype, DTYPE_F64);
    assert_true(i < golden_count(tensor));
    double value;
    memcpy(&value, (const double *)tensor->data + i, sizeof value);
    return value;
}

static void open_golden(struct safetensors *file, const char *path)
{
    struct error error = {""};
    if (safetensors_open(file, path, &error) < 0)
        fail_msg("%s: %s", path, error.text);
}

static double part_value(const struct measurement *result, int64_t number)
{
    for (int64_t i = 0; i < result->parts; i++)
        if (result->part[i].number == number)
            return result->part[i].value;
    fail_msg("no part %lld", (long long)number);
    return NAN;
}

static void check_metrics(const char *path)
{
    struct safetensors file;
    open_golden(&file, path);
    struct measurement result = measure_golden(&file, MEASURE_TV, "in.volume", NULL);
    assert_near(result.value, golden_value(&file, "out.total_variation", 0));
    assert_null(result.part);
    result = measure_golden(&file, MEASURE_DICE, "in.mask_a", "in.mask_b");
    assert_near(part_value(&result, 1), golden_value(&file, "out.dice", 0));
    measurement_free(&result);
    result = measure_golden(&file, MEASURE_IOU, "in.mask_a", "in.mask_b");
    assert_near(part_value(&result, 1), golden_value(&file, "out.iou", 0));
    measurement_free(&result);
    result = measure_golden(&file, MEASURE_MAD, "in.surfaces_a", "in.surfaces_b");
    assert_int_equal(result.parts, golden_tensor(&file, "in.surfaces_a")->shape[0]);
    for (int64_t s = 0; s < result.parts; s++)
        assert_near(part_value(&result, s), golden_value(&file, "out.mad_per_surface", s));
    assert_near(result.value, golden_value(&file, "out.mad", 0));
    measurement_free(&result);
    safetensors_close(&file);
}

static void check_similarity(const char *path)
{
    static const struct {
        enum measure_kind kind;
        const char *a, *b, *expected;
    } cases[] = {
        {MEASURE_PSNR, "in.volume_a", "in.volume_b", "out.psnr_ab"},
        {MEASURE_PSNR, "in.volume_f", "in.volume_a", "out.psnr_af"},
        {MEASURE_SSIM, "in.volume_a", "in.volume_b", "out.ssim_ab"},
        {MEASURE_SSIM, "in.volume_a", "in.volume_f", "out.ssim_af"},
        {MEASURE_TV, "in.volume_f", NULL, "out.total_variation_f"},
    };
    struct safetensors file;
    open_golden(&file, path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct measurement result = measure_golden(&file, cases[i].kind, cases[i].a, cases[i].b);
        assert_near(result.value, golden_value(&file, cases[i].expected, 0));
    }
    struct measurement dice = measure_golden(&file, MEASURE_DICE, "in.labels_a", "in.labels_b");
    struct measurement iou = measure_golden(&file, MEASURE_IOU, "in.labels_a", "in.labels_b");
    const struct safetensor *classes = golden_tensor(&file, "in.classes");
    assert_int_equal(dice.parts, golden_count(classes));
    assert_int_equal(iou.parts, golden_count(classes));
    for (int64_t i = 0; i < golden_count(classes); i++) {
        int64_t number;
        memcpy(&number, (const int64_t *)classes->data + i, sizeof number);
        assert_near(part_value(&dice, number), golden_value(&file, "out.dice", i));
        assert_near(part_value(&iou, number), golden_value(&file, "out.iou", i));
    }
    measurement_free(&dice);
    measurement_free(&iou);
    safetensors_close(&file);
}

static void test_goldens(void **state)
{
    (void)state;
    assert_true(golden_each("metrics", check_metrics) >= 1);
    assert_true(golden_each("similarity", check_similarity) >= 1);
}

static void test_total_variation(void **state)
{
    (void)state;
    const struct array cube = describe(DTYPE_U8, 2, 2, 2), voxel = describe(DTYPE_U8, 1, 1, 1);
    const uint8_t gray[8] = {0, 255, 0, 0, 0, 0, 0, 0}; /* one voxel: a step along each axis */
    assert_near(value_of(MEASURE_TV, &cube, gray, NULL, NULL), sqrt(3));
    assert_near(value_of(MEASURE_TV, &voxel, gray + 1, NULL, NULL), 0);
    const struct array reals = describe(DTYPE_F32, 2, 2, 2);
    const float value[8] = {-1, 1, -1, -1, -1, -1, -1, -1};
    assert_near(value_of(MEASURE_TV, &reals, value, NULL, NULL), sqrt(3));
    const struct array line = describe(DTYPE_U8, 1, 1, 8);
    assert_near(value_of(MEASURE_TV, &line, gray, NULL, NULL), sqrt(2));
}

static void test_overlap(void **state)
{
    (void)state;
    const struct array array = describe(DTYPE_U8, 2, 1, 4);
    const uint8_t a[8] = {0, 1, 1, 1, 0, 0, 7, 7}, b[8] = {0, 1, 1, 0, 0, 1, 0, 0};
    struct measurement dice = measure(MEASURE_DICE, false, &array, a, &array, b);
    assert_int_equal(dice.parts, 2);
    assert_near(part_value(&dice, 1), 4.0 / 6);
    assert_near(part_value(&dice, 7), 0);
    assert_near(dice.value, 2.0 / 6);
    measurement_free(&dice);
    struct measurement iou = measure(MEASURE_IOU, true, &array, a, &array, b);
    assert_int_equal(iou.parts, 3);
    assert_near(part_value(&iou, 0), 2.0 / 6);
    assert_near(part_value(&iou, 1), 2.0 / 4);
    assert_near(iou.value, (2.0 / 6 + 2.0 / 4) / 3);
    measurement_free(&iou);
    const uint8_t empty[8] = {0};
    assert_true(isnan(value_of(MEASURE_DICE, &array, empty, &array, empty)));
}

static void test_surfaces(void **state)
{
    (void)state;
    const struct array array = describe(DTYPE_F32, 2, 1, 3);
    const float a[6] = {1, 2, 3, 10, 10, 10}, b[6] = {2, 2, 1, 10, 10.5f, 10};
    struct measurement mad = measure(MEASURE_MAD, false, &array, a, &array, b);
    assert_int_equal(mad.parts, 2);
    assert_near(part_value(&mad, 0), 1);
    assert_near(part_value(&mad, 1), 0.5 / 3);
    assert_near(mad.value, (1 + 0.5 / 3) / 2);
    measurement_free(&mad);
}

static void test_similarity(void **state)
{
    (void)state;
    enum { COUNT = 2 * 11 * 12 };
    const struct array bytes = describe(DTYPE_U8, 2, 11, 12),
                       reals = describe(DTYPE_F32, 2, 11, 12);
    uint8_t a[COUNT], b[COUNT];
    float f[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = 100;
        b[i] = 110;
        f[i] = -1; /* gray 0 */
    }
    const double c1 = 0.01 * 255 * 0.01 * 255;
    assert_near(value_of(MEASURE_SSIM, &bytes, a, &bytes, a), 1);
    assert_near(value_of(MEASURE_SSIM, &bytes, a, &bytes, b),
                (2 * 100 * 110 + c1) / (100 * 100 + 110 * 110 + c1));
    assert_near(value_of(MEASURE_SSIM, &bytes, a, &reals, f), c1 / (100 * 100 + c1));
    assert_near(value_of(MEASURE_PSNR, &bytes, a, &bytes, b), 20 * log10(255 / 10.0));
    assert_near(value_of(MEASURE_PSNR, &bytes, a, &reals, f), 20 * log10(255 / 100.0));
    assert_true(isinf(value_of(MEASURE_PSNR, &reals, f, &reals, f)));
}

static void test_neighbours(void **state)
{
    (void)state;
    /* Slices (2,2), from the second to the third the halves exchanged: the projection is still. */
    const struct array bytes = describe(DTYPE_U8, 3, 2, 2), single = describe(DTYPE_U8, 1, 2, 2);
    const uint8_t grays[12] = {0, 0, 51, 51, 102, 0, 51, 51, 51, 51, 102, 0};
    assert_near(value_of(MEASURE_SLICE_DIFFERENCE, &bytes, grays, NULL, NULL),
                (102 + 51 + 51 + 51 + 51) / 8.0 / 255);
    assert_near(value_of(MEASURE_PROJECTION_DIFFERENCE, &bytes, grays, NULL, NULL), 51 / 4.0 / 255);
    assert_true(isnan(value_of(MEASURE_SLICE_DIFFERENCE, &single, grays, NULL, NULL)));
    assert_true(isnan(value_of(MEASURE_PROJECTION_DIFFERENCE, &single, grays, NULL, NULL)));
    const struct array reals = describe(DTYPE_F32, 2, 1, 2);
    const float value[4] = {-1, 0, 1, 0.5f};
    assert_near(value_of(MEASURE_SLICE_DIFFERENCE, &reals, value, NULL, NULL), 2.5 / 2 / 2);
    assert_near(value_of(MEASURE_PROJECTION_DIFFERENCE, &reals, value, NULL, NULL), 2.5 / 2 / 2);
}

static void test_refusals(void **state)
{
    (void)state;
    const struct array bytes = describe(DTYPE_U8, 2, 11, 11),
                       reals = describe(DTYPE_F32, 2, 11, 11);
    const struct array small = describe(DTYPE_U8, 2, 10, 11),
                       longer = describe(DTYPE_U8, 3, 11, 11);
    const struct measure_settings settings = {.scales = SIMILARITY_SCALES};
    struct array map = bytes, labels = bytes, surfaces = reals;
    map.rank = 2;
    strcpy(labels.kind, "labels");
    strcpy(surfaces.kind, "surfaces");
    const struct {
        enum measure_kind kind;
        const struct array *a, *b;
        const char *reason;
    } cases[] = {
        {MEASURE_TV, &map, NULL,
         "tv measures volumes (D,H,W) of u1 or f4, not an array u1 (2, 11)"},
        {MEASURE_TV, &labels, NULL, "not labels u1 (2, 11, 11)"},
        {MEASURE_PSNR, &bytes, &surfaces, "not surfaces f4 (2, 11, 11)"},
        {MEASURE_DICE, &bytes, &reals, "dice measures labels"},
        {MEASURE_MAD, &bytes, &bytes, "mad measures surfaces"},
        {MEASURE_IOU, &bytes, &longer, "shapes differ: u1 (2, 11, 11) and u1 (3, 11, 11)"},
        {MEASURE_SSIM, &small, &small, "10x11 are smaller than SSIM's window of 11x11"},
        {MEASURE_MS_SSIM, &bytes, &bytes, "SSIM's window at the last scale of 176x176"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct measure *measure;
        struct error error = {""};
        assert_int_equal(
            measure_begin(&measure, cases[i].kind, &settings, cases[i].a, cases[i].b, &error), -1);
        if (!strstr(error.text, cases[i].reason))
            fail_msg("case %zu: %s", i, error.text);
    }
}

static void test_report(void **state)
{
    (void)state;
    struct measurement_part part[2] = {{1, 0.5}, {12, 0.25}};
    const struct measurement parts = {.value = 0.375, .parts = 2, .part = part};
    const struct measurement infinite = {.value = INFINITY};
    const struct measurement missing = {.value = 1, .left_out = 5};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    report_text(out, "dice", &parts);
    report_text(out, "psnr", &infinite);
    assert_int_equal(report_json(out, "dice", 3, &parts, NULL), 0);
    assert_int_equal(report_json(out, "psnr", 0, &infinite, NULL), 0);
    assert_int_equal(report_json(out, "mad", 0, &missing, NULL), 0);
    struct spread spread = {0};
    spread_add(&spread, 1);
    report_tsv(out, "tv", spread.mean, spread_deviation(&spread), spread.count, 0);
    spread_add(&spread, 2);
    spread_add(&spread, 6);
    report_tsv(out, "nearest", spread.mean, spread_deviation(&spread), spread.count, 4);
    struct distance_report distance = {
        .name = "fid-encoder-intra",
        .value = 1.5,
        .deviation = NAN,
        .interval = {NAN, NAN},
        .slices = {30, 20},
        .features = 8,
    };
    report_distance_text(out, &distance);
    assert_int_equal(report_distance_json(out, &distance, NULL), 0);
    report_distance_tsv(out, &distance);
    distance.deviation = 0.25;
    distance.interval[0] = 1;
    distance.interval[1] = 2;
    report_distance_text(out, &distance);
    assert_int_equal(report_distance_json(out, &distance, NULL), 0);
    report_distance_tsv(out, &distance);
    const struct nearest_volume volume = {.distance = 0.25, .match = 3, .input = "a \"b\".npy"};
    report_nearest_text(out, 7, &volume);
    assert_int_equal(report_nearest_json(out, 7, &volume, NULL), 0);
    fclose(out);
    assert_string_equal(text, "dice 1 0.5\ndice 12 0.25\ndice mean 0.375\npsnr inf\n"
                              "{\"measure\":\"dice\",\"array\":3,\"mean\":0.375,"
                              "\"parts\":{\"1\":0.5,\"12\":0.25}}\n"
                              "{\"measure\":\"psnr\",\"array\":0,\"value\":null}\n"
                              "{\"measure\":\"mad\",\"array\":0,\"value\":1,\"left_out\":5}\n"
                              "tv\t1\t\t1\t\nnearest\t3\t2.64575131\t3\t4\n"
                              "fid-encoder-intra 1.5 of 30 and 20 slices\n"
                              "{\"measure\":\"fid-encoder-intra\",\"value\":1.5,"
                              "\"slices\":[30,20],\"features\":8}\n"
                              "fid-encoder-intra\t1.5\t\t30\t20\n"
                              "fid-encoder-intra 1.5 deviation 0.25 interval 1 2 of 30 and 20 "
                              "slices\n"
                              "{\"measure\":\"fid-encoder-intra\",\"value\":1.5,"
                              "\"deviation\":0.25,\"interval\":[1,2],"
                              "\"slices\":[30,20],\"features\":8}\n"
                              "fid-encoder-intra\t1.5\t0.25\t30\t20\t1\t2\n"
                              "nearest 7 0.25 3 a \"b\".npy\n"
                              "{\"measure\":\"nearest\",\"array\":7,\"value\":0.25,\"match\":3,"
                              "\"input\":\"a \\\"b\\\".npy\"}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),    cmocka_unit_test(test_total_variation),
        cmocka_unit_test(test_overlap),    cmocka_unit_test(test_surfaces),
        cmocka_unit_test(test_similarity), cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
