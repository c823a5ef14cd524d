/* Measures against values of other programs (testdata/check-measures.py), hand cases of definitions
 * and of what is missing, sets of arrays and of pairs; LPIPS and the Fréchet distance of goldens.
 */
#include "lib/metrics/frechet.h"
#include "lib/metrics/pairs.h"
#include "lib/metrics/report.h"
#include "tests/unit/device.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums in double of less than 10^6 terms of one sign, by other programs in another order. */
static const double tolerance = 1e-11;

static void assert_near(double value, double expected, double relative)
{
    if (!(fabs(value - expected) <= relative * fabs(expected)))
        fail_msg("%.17g, expected %.17g", value, expected);
}

/* The measure of u1 or f4 arrays that are whole in memory. */
static struct measurement measure(enum measure_kind kind, const struct measure_settings *settings,
                                  const struct array *a, const void *data_a, const struct array *b,
                                  const void *data_b)
{
    struct measure *measure;
    struct measurement result;
    struct error error = {""};
    int64_t count = array_slice_count(a), bytes = count * dtype_size(a->dtype);
    float *slice[2];
    for (int i = 0; i < 2; i++) {
        slice[i] = calloc((size_t)count, sizeof *slice[i]);
        assert_non_null(slice[i]);
    }
    if (measure_begin(&measure, kind, settings, a, b, &error) < 0)
        fail_msg("%s", error.text);
    for (int64_t d = 0; d < array_slices(a); d++) {
        array_to_f32((const char *)data_a + d * bytes, a->dtype, slice[0], count);
        if (b)
            array_to_f32((const char *)data_b + d * bytes, b->dtype, slice[1], count);
        assert_int_equal(measure_add(measure, slice[0], b ? slice[1] : NULL, &error), 0);
    }
    measure_finish(measure, &result);
    free(slice[0]);
    free(slice[1]);
    return result;
}

enum { SLICES = 2, ROWS = 181, COLUMNS = 187, EVEN = 176, COUNT = SLICES * ROWS * COLUMNS };

/* Waves, and the same with noise, as testdata/check-measures.py makes them. */
static void make_volumes(uint8_t *a, uint8_t *b)
{
    uint32_t i = 0;
    for (int d = 0; d < SLICES; d++)
        for (int y = 0; y < ROWS; y++)
            for (int x = 0; x < COLUMNS; x++, i++) {
                int smooth = 3 * abs((x + 2 * d) % 64 - 32) + 4 * abs(y % 48 - 24);
                a[i] = (uint8_t)(smooth + 20);
                b[i] = (uint8_t)(smooth + (int)(((i * 1103515245u + 12345u) >> 16) % 61));
            }
}

/* Cut (SLICES, EVEN, EVEN) out, in place. */
static void cut(uint8_t *volume)
{
    uint8_t *to = volume;
    for (int d = 0; d < SLICES; d++)
        for (int y = 0; y < EVEN; y++, to += EVEN)
            memmove(to, volume + (d * ROWS + y) * COLUMNS, EVEN);
}

static void test_other_programs(void **state)
{
    (void)state;
    static uint8_t a[COUNT], b[COUNT];
    const struct array whole = {.dtype = DTYPE_U8, .rank = 3, .shape = {SLICES, ROWS, COLUMNS}};
    const struct array even = {.dtype = DTYPE_U8, .rank = 3, .shape = {SLICES, EVEN, EVEN}};
    static const struct {
        enum measure_kind kind;
        struct measure_settings settings;
        double value;
    } cases[] = {
        {MEASURE_PSNR, {0}, 22.00319913725687},
        {MEASURE_SSIM, {0}, 0.34546071021981906},
        {MEASURE_MS_SSIM, {.scales = 5}, 0.8957144783248201},
        {MEASURE_MS_SSIM, {.scales = 3}, 0.8393212164100161},
        {MEASURE_TV, {.tv = TV_PAPER}, 37.993947189888694},
        {MEASURE_TV, {.tv = TV_ANISOTROPIC}, 11848.243137254902},
        {MEASURE_TV, {.tv = TV_ISOTROPIC}, 8878.036752447426},
        {MEASURE_TV, {.tv = TV_ANISOTROPIC_MEAN}, 0.1750264888654076},
        {MEASURE_TV, {.tv = TV_ISOTROPIC_MEAN}, 0.1311495369227321},
    };
    make_volumes(a, b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool one = measure_operands(cases[i].kind) == 1; /* that of the noise */
        struct measurement result = measure(cases[i].kind, &cases[i].settings, &whole, one ? b : a,
                                            one ? NULL : &whole, one ? NULL : b);
        assert_near(result.value, cases[i].value, tolerance);
    }
    cut(a);
    cut(b);
    struct measurement result = measure(MEASURE_MS_SSIM, &cases[2].settings, &even, a, &even, b);
    assert_near(result.value, 0.8958366872527175, tolerance);
    result = measure(MEASURE_MS_SSIM, &cases[2].settings, &even, a, &even, a);
    assert_near(result.value, 1, tolerance);
}

static void test_total_variations(void **state)
{
    (void)state;
    /* One bright voxel at the origin: a step along each axis, all at one voxel; in the middle of a
     * line the two steps are at two. */
    const struct array cube = {.dtype = DTYPE_U8, .rank = 3, .shape = {2, 2, 2}};
    const struct array line = {.dtype = DTYPE_U8, .rank = 3, .shape = {1, 1, 3}};
    const uint8_t corner[8] = {255}, middle[3] = {0, 255, 0};
    static const double expected[TV_KINDS][2] = {
        [TV_PAPER] = {1.7320508075688772, 1.4142135623730951},
        [TV_ANISOTROPIC] = {3, 2},
        [TV_ISOTROPIC] = {1.7320508075688772, 2},
        [TV_ANISOTROPIC_MEAN] = {3.0 / 8, 2.0 / 3},
        [TV_ISOTROPIC_MEAN] = {1.7320508075688772 / 8, 2.0 / 3}};
    for (int kind = 0; kind < TV_KINDS; kind++) {
        const struct measure_settings settings = {.tv = (enum total_variation_kind)kind};
        struct measurement result = measure(MEASURE_TV, &settings, &cube, corner, NULL, NULL);
        assert_near(result.value, expected[kind][0], tolerance);
        result = measure(MEASURE_TV, &settings, &line, middle, NULL, NULL);
        assert_near(result.value, expected[kind][1], tolerance);
    }
}

static void test_missing_surfaces(void **state)
{
    (void)state;
    const struct measure_settings settings = {0};
    const struct array array = {.dtype = DTYPE_F32, .rank = 3, .shape = {3, 1, 3}};
    const float a[9] = {1, NAN, 3, 4, 5, NAN, NAN, NAN, 7};
    const float b[9] = {2, 2, 6, 4, INFINITY, 8, 1, NAN, NAN};
    struct measurement result = measure(MEASURE_MAD, &settings, &array, a, &array, b);
    assert_int_equal(result.parts, 3);
    assert_near(result.part[0].value, (1 + 3) / 2.0, tolerance);
    assert_true(result.part[1].value == 0);
    assert_true(isnan(result.part[2].value));
    assert_near(result.value, (2 + 0) / 2.0, tolerance); /* of the surfaces that are there */
    assert_int_equal(result.left_out, 1 + 2 + 3);
    measurement_free(&result);
}

static void test_spreads(void **state)
{
    (void)state;
    struct measurement_part first[] = {{1, 0.5}, {7, 1}}, second[] = {{1, 0.75}, {3, NAN}};
    const struct measurement arrays[] = {{.value = 0.75, .parts = 2, .part = first},
                                         {.value = 0.75, .parts = 2, .part = second},
                                         {.value = NAN}};
    struct spreads spreads = {0};
    struct spread infinite = {0};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (int i = 0; i < 3; i++)
        assert_int_equal(spreads_add(&spreads, &arrays[i], NULL), 0);
    assert_int_equal(spreads.arrays, 3);
    report_spreads_text(out, "dice", &spreads);
    report_spreads_tsv(out, "dice", &spreads);
    assert_int_equal(report_spreads_json(out, "dice", &spreads, NULL), 0);
    spread_add(&infinite, INFINITY);
    spread_add(&infinite, 30);
    spread_add(&infinite, INFINITY);
    report_tsv(out, "psnr", infinite.mean, spread_deviation(&infinite), infinite.count, 0);
    const struct spread pairs = {.count = 3, .mean = 0.5, .squares = 0.02};
    report_pairs_text(out, "diversity", &pairs, 3);
    assert_int_equal(report_pairs_json(out, "diversity", &pairs, 3, NULL), 0);
    fclose(out);
    assert_string_equal(
        text, "dice 1 0.625 deviation 0.176776695 of 2 arrays\ndice 3 nan of 0 arrays\n"
              "dice 7 1 of 1 array\ndice mean 0.75 deviation 0 of 2 arrays\n"
              "dice-1\t0.625\t0.176776695\t2\t\ndice-3\tnan\t\t0\t\ndice-7\t1\t\t1\t\n"
              "dice\t0.75\t0\t2\t\n"
              "{\"measure\":\"dice\",\"arrays\":2,\"mean\":0.75,\"deviation\":0,\"parts\":{"
              "\"1\":{\"arrays\":2,\"mean\":0.625,\"deviation\":0.17677669529663689},"
              "\"3\":{\"arrays\":0,\"mean\":null,\"deviation\":null},"
              "\"7\":{\"arrays\":1,\"mean\":1,\"deviation\":null}}}\n"
              "psnr\tinf\t\t3\t\n"
              "diversity 0.5 deviation 0.1 of 3 pairs of 3 volumes\n"
              "{\"measure\":\"diversity\",\"value\":0.5,\"deviation\":0.1,\"pairs\":3,"
              "\"volumes\":3}\n");
    free(text);
    spreads_free(&spreads);
}

static void test_pairs(void **state)
{
    (void)state;
    enum { VOLUMES = 5, CANDIDATES = 10, WANTED = 3, SEEDS = 4000 };
    int64_t chosen[VOLUMES][VOLUMES] = {0};
    struct pair *pair;
    assert_int_equal(pairs_choose(&pair, VOLUMES, 100, 0, NULL), CANDIDATES);
    assert_true(pair[0].first == 0 && pair[0].second == 1);
    assert_true(pair[9].first == 3 && pair[9].second == 4);
    free(pair);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_int_equal(pairs_choose(&pair, VOLUMES, WANTED, seed, NULL), WANTED);
        for (int i = 0; i < WANTED; i++) {
            assert_true(pair[i].first < pair[i].second);
            chosen[pair[i].first][pair[i].second]++;
            if (i > 0)
                assert_true(pair[i].first > pair[i - 1].first ||
                            pair[i].second > pair[i - 1].second);
        }
        free(pair);
    }
    /* Each with probability 0.3: 1200 ± 29; five deviations. */
    for (int i = 0; i < VOLUMES; i++)
        for (int j = i + 1; j < VOLUMES; j++)
            assert_in_range(chosen[i][j], 1055, 1345);
}

static double only_value(const struct safetensors *file, const char *name)
{
    const struct safetensor *tensor = golden_tensor(file, name);
    double value;
    if (tensor->dtype == DTYPE_F32)
        return (double)*(const float *)tensor->data;
    memcpy(&value, tensor->data, sizeof value);
    return value;
}

static struct moments moments_of(const struct safetensor *tensor)
{
    struct moments moments;
    int64_t features = tensor->shape[1];
    double *vector = calloc((size_t)features, sizeof *vector);
    assert_non_null(vector);
    assert_int_equal(moments_open(&moments, features, NULL), 0);
    for (int64_t i = 0; i < tensor->shape[0]; i++) {
        for (int64_t j = 0; j < features; j++)
            vector[j] = (double)((const float *)tensor->data)[i * features + j];
        moments_add(&moments, vector);
    }
    free(vector);
    return moments;
}

static void check_frechet(const char *path)
{
    struct safetensors file;
    double distance;
    assert_int_equal(safetensors_open(&file, path, NULL), 0);
    struct moments a = moments_of(golden_tensor(&file, "in.features_a"));
    struct moments b = moments_of(golden_tensor(&file, "in.features_b"));
    assert_int_equal(frechet_distance(&a, &b, &distance, NULL), 0);
    assert_near(distance, only_value(&file, "out.frechet_distance"), 1e-10);
    moments_close(&a);
    moments_close(&b);
    safetensors_close(&file);
}

/* The network's sums are of f32 (test_training.c); of two slices the mean of their distances. */
static void check_lpips(const char *path)
{
    struct safetensors file;
    struct error error = {""};
    struct perceptual perceptual = {.settings = {test_backend(), DTYPE_F32}};
    const struct measure_settings settings = {.perceptual = &perceptual};
    assert_int_equal(safetensors_open(&file, path, NULL), 0);
    const struct safetensor *x = golden_tensor(&file, "in.x"), *y = golden_tensor(&file, "in.y");
    struct array array = {.dtype = DTYPE_F32, .rank = 3, .shape = {1, x->shape[2], x->shape[3]}};
    array.shape[0] = golden_count(x) / array_slice_count(&array);
    if (weights_open(&perceptual.weights, path, false, &error) < 0)
        fail_msg("%s", error.text);
    struct measurement result = measure(MEASURE_LPIPS, &settings, &array, x->data, &array, y->data);
    assert_near(result.value, only_value(&file, "out.distance"), 2e-5);
    result = measure(MEASURE_LPIPS, &settings, &array, x->data, &array, x->data);
    assert_true(result.value == 0);
    const struct array small = {.dtype = DTYPE_F32, .rank = 3, .shape = {1, 16, 15}};
    assert_int_equal(perceptual_fit(&perceptual, small.shape[1], small.shape[2], &error), -1);
    assert_string_equal(error.text, "slices of 16x15 are smaller than the 16x16 that LPIPS takes");
    perceptual_close(&perceptual);
    weights_close(perceptual.weights);
    safetensors_close(&file);
}

static void test_goldens(void **state)
{
    (void)state;
    assert_true(golden_each("metrics", check_frechet) >= 1);
    assert_true(golden_each("lpips", check_lpips) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_programs),
        cmocka_unit_test(test_total_variations),
        cmocka_unit_test(test_missing_surfaces),
        cmocka_unit_test(test_spreads),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_goldens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
