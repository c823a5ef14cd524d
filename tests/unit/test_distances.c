/* Distances of sets of features that are kept: goldens, parts drawn at random, threads.
 *
 * Sums of some ten thousand terms in double: 1e-12 of their size is a hundred times what rounding
 * makes. SciPy's square root of a product keeps half of the digits at worst. */
#include "lib/metrics/kid.h"
#include "lib/metrics/resample.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of a golden, where they lie aligned; the caller frees. */
static double *doubles(const struct safetensors *file, const char *name)
{
    const struct safetensor *tensor = golden_tensor(file, name);
    assert_int_equal(tensor->dtype, DTYPE_F64);
    size_t bytes = (size_t)golden_count(tensor) * sizeof(double);
    double *values = malloc(bytes);
    assert_non_null(values);
    memcpy(values, tensor->data, bytes);
    return values;
}

static struct vectors vectors_of(const struct safetensors *file, const char *name)
{
    const struct safetensor *tensor = golden_tensor(file, name);
    return (struct vectors){tensor->shape[1], tensor->shape[0], doubles(file, name), NULL};
}

struct golden {
    struct safetensors file;
    struct vectors a, b;
    double *times_a, *times_b;
};

static void open_golden(struct golden *g, const char *path)
{
    struct error error = {""};
    if (safetensors_open(&g->file, path, &error))
        fail_msg("%s", error.text);
    g->a = vectors_of(&g->file, "in.a");
    g->b = vectors_of(&g->file, "in.b");
    g->times_a = doubles(&g->file, "in.times_a");
    g->times_b = doubles(&g->file, "in.times_b");
}

static void close_golden(struct golden *g)
{
    free((void *)(uintptr_t)g->a.vector);
    free((void *)(uintptr_t)g->b.vector);
    free(g->times_a);
    free(g->times_b);
    safetensors_close(&g->file);
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.17g, expected %.17g, off by %.3g", value, expected, fabs(value - expected));
}

static double frechet_of(const struct vectors *a, const struct vectors *b)
{
    double distance;
    struct error error = {""};
    if (frechet_distance_vectors(a, b, &distance, &error))
        fail_msg("%s", error.text);
    return distance;
}

static double frechet_of_moments(const struct vectors *a, const struct vectors *b)
{
    const struct vectors *const of[2] = {a, b};
    struct moments moments[2];
    struct error error = {""};
    double distance;
    for (int set = 0; set < 2; set++) {
        assert_int_equal(moments_open(&moments[set], a->features, &error), 0);
        for (int64_t i = 0; i < of[set]->count; i++)
            moments_add(&moments[set], of[set]->vector + i * a->features);
    }
    if (frechet_distance(&moments[0], &moments[1], &distance, &error))
        fail_msg("%s", error.text);
    moments_close(&moments[0]);
    moments_close(&moments[1]);
    return distance;
}

static void check_frechet(const char *path)
{
    struct golden g;
    open_golden(&g, path);
    double *scipy = doubles(&g.file, "out.frechet"), *drawn = doubles(&g.file, "out.frechet_drawn");
    assert_near(frechet_of_moments(&g.a, &g.b), *scipy, 1e-6 * *scipy);
    assert_near(frechet_of(&g.a, &g.b), *scipy, 1e-6 * *scipy);
    assert_near(frechet_of(&g.a, &g.a), 0, 1e-12 * *scipy);
    struct vectors a = g.a, b = g.b;
    a.times = g.times_a + 2 * a.count;
    b.times = g.times_b + 2 * b.count;
    assert_near(frechet_of(&a, &b), *drawn, 1e-6 * *drawn);
    /* Fewer vectors than features on one side or both: as by their moments. */
    a = g.a;
    b = g.b;
    a.count = 9;
    assert_near(frechet_of(&a, &b), frechet_of_moments(&a, &b), 1e-12 * *scipy);
    b.count = 5;
    assert_near(frechet_of(&a, &b), frechet_of_moments(&a, &b), 1e-12 * *scipy);
    free(scipy);
    free(drawn);
    close_golden(&g);
}

static void check_kid(const char *path)
{
    struct golden g;
    struct error error = {""};
    double estimate[3], *expected;
    open_golden(&g, path);
    expected = doubles(&g.file, "out.kid");
    for (int threads = 1; threads <= 3; threads++) {
        double made[3];
        omp_set_num_threads(threads);
        if (kid_estimate(&g.a, &g.b, g.times_a, g.times_b, 3, made, &error))
            fail_msg("%s", error.text);
        if (threads > 1)
            assert_memory_equal(made, estimate, sizeof made);
        memcpy(estimate, made, sizeof made);
    }
    for (int i = 0; i < 3; i++)
        assert_near(estimate[i], expected[i], 1e-12 * fabs(expected[i]) + 1e-12);
    double *none = calloc((size_t)g.a.count, sizeof *none);
    none[3] = 1;
    assert_int_equal(kid_estimate(&g.a, &g.b, none, g.times_b, 1, estimate, &error), -1);
    assert_non_null(strstr(error.text, "no pairs"));
    free(none);
    free(expected);
    close_golden(&g);
}

static void test_frechet(void **state)
{
    (void)state;
    assert_true(golden_each("distances", check_frechet) >= 1);
}

static void test_kid(void **state)
{
    (void)state;
    assert_true(golden_each("distances", check_kid) >= 1);
}

static void test_draws(void **state)
{
    (void)state;
    enum { COUNT = 11, SIZE = 4, PARTS = 2000 };
    double times[COUNT], sum[COUNT] = {0}, sum_replaced[COUNT] = {0};
    for (int part = 0; part < PARTS; part++) {
        double all = 0;
        resample_subset(5, 0, part, COUNT, SIZE, times);
        for (int i = 0; i < COUNT; i++) {
            assert_true(times[i] == 0 || times[i] == 1);
            all += times[i];
            sum[i] += times[i] / PARTS;
        }
        assert_true(all == SIZE);
        resample_replace(5, 0, part, COUNT, times);
        all = 0;
        for (int i = 0; i < COUNT; i++) {
            all += times[i];
            sum_replaced[i] += times[i] / PARTS;
        }
        assert_true(all == COUNT);
    }
    /* Shares of 4/11 and means of 1: five standard deviations over 2000 draws. */
    for (int i = 0; i < COUNT; i++) {
        assert_near(sum[i], (double)SIZE / COUNT, 5 * sqrt(4.0 / 11 * 7 / 11 / PARTS));
        assert_near(sum_replaced[i], 1, 5 * sqrt(10.0 / 11 / PARTS));
    }
    resample_subset(5, 1, 0, 3, 3, times);
    assert_true(times[0] == 1 && times[1] == 1 && times[2] == 1);
}

static void test_quantile(void **state)
{
    (void)state;
    double values[] = {4, 1, 3, 2, 5};
    assert_true(resample_quantile(values, 5, 0.5) == 3);
    assert_true(resample_quantile(values, 5, 0.125) == 1.5);
    assert_true(resample_quantile(values, 5, 1) == 5);
    assert_true(resample_quantile(values, 1, 0.025) == 1);
}

/* Intervals hold most of what they are of, are the same on any number of threads, and the mean over
 * subsets is near the estimate from all. */
static void check_intervals(const char *path)
{
    struct golden g;
    struct error error = {""};
    double first[4] = {0}, *kid;
    struct spread spread = {0};
    open_golden(&g, path);
    kid = doubles(&g.file, "out.kid");
    for (int threads = 1; threads <= 2; threads++) {
        double made[4];
        omp_set_num_threads(threads);
        if (resample_frechet(&g.a, &g.b, 3, 40, made, &error) ||
            resample_kid(&g.a, &g.b, 3, 40, made + 2, &error))
            fail_msg("%s", error.text);
        if (threads > 1)
            assert_memory_equal(made, first, sizeof made);
        memcpy(first, made, sizeof made);
    }
    assert_true(first[0] < first[1] && first[2] < first[3]);
    assert_true(first[2] < kid[0] && kid[0] < first[3]);
    if (resample_kid_subsets(&g.a, &g.b, 3, 200, 50, &spread, &error))
        fail_msg("%s", error.text);
    assert_int_equal(spread.count, 200);
    assert_near(spread.mean, kid[0], 5 * spread_deviation(&spread) / sqrt(200));
    free(kid);
    close_golden(&g);
}

static void test_intervals(void **state)
{
    (void)state;
    assert_true(golden_each("distances", check_intervals) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frechet),   cmocka_unit_test(test_kid),
        cmocka_unit_test(test_draws),     cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
