/* AdamW and averages: against PyTorch, and what they promise of threads, ramps and bounds. */
#include "kernels/cpu/simd.h"
#include "kernels/optimizer.h"
#include "lib/training/adamw.h"
#include "lib/training/ema.h"
#include "tests/unit/device.h"
#include "tests/unit/golden.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"a", "b"};

static double number(const struct safetensors *file, const char *key)
{
    const char *text = safetensors_metadata(file, key);
    assert_non_null(text);
    return strtod(text, NULL);
}

static const struct safetensor *find(const struct safetensors *file, const char *format, int step,
                                     const char *name)
{
    char key[64];
    snprintf(key, sizeof key, format, step, name);
    return golden_tensor(file, key);
}

static void add(struct parameters *parameters, const struct safetensor *value, const char *name,
                bool learns)
{
    struct error error;
    struct weight weight = {.data = value->data, .dtype = DTYPE_F32, .rank = value->rank};
    memcpy(weight.shape, value->shape, sizeof weight.shape);
    struct parameter *p = parameters_add(parameters, name, &weight, &error);
    assert_non_null(p);
    assert_int_equal(learns ? parameters_want_gradient(parameters, p, &error) : 0, 0);
}

enum { LARGEST = 64 }; /* elements of a golden's parameter */

/* Five updates of f32 values below 4 that each round a handful of times. */
static void expect_near(const struct parameter *p, const struct safetensor *expected)
{
    const float *e = expected->data;
    float got[LARGEST];
    assert_in_range(p->count, 1, LARGEST);
    test_copy_out(got, p->value, (size_t)p->count * sizeof *got);
    for (int64_t i = 0; i < golden_count(expected); i++)
        if (!(fabs((double)got[i] - (double)e[i]) <= 64 * 0x1p-24))
            fail_msg("%s: element %d is %.9g, not %.9g", expected->name, (int)i, (double)got[i],
                     (double)e[i]);
}

/* A frozen parameter between the two takes no part. */
static void golden(const char *path)
{
    struct safetensors file;
    struct error error;
    struct adamw adamw;
    struct ema ema;
    assert_int_equal(safetensors_open(&file, path, &error), 0);
    struct parameters *parameters = parameters_create(test_backend());
    assert_non_null(parameters);
    add(parameters, find(&file, "in.%.0d%s", 0, "a"), "a", true);
    add(parameters, find(&file, "in.%.0d%s", 0, "b"), "frozen", false);
    add(parameters, find(&file, "in.%.0d%s", 0, "b"), "b", true);
    assert_int_equal(parameters_learning(parameters), 37 + 30);
    struct adamw_settings settings = {0.9, number(&file, "beta2"), 1e-8, number(&file, "decay"),
                                      number(&file, "clip")};
    assert_int_equal(adamw_create(&adamw, parameters, &settings, &error), 0);
    assert_int_equal(ema_create(&ema, parameters, number(&file, "average"), &error), 0);
    for (int step = 0; step < (int)number(&file, "steps"); step++) {
        for (int k = 0; k < 2; k++) {
            const struct safetensor *gradient = find(&file, "in.gradient%d.%s", step, names[k]);
            test_copy_in(parameters_find(parameters, names[k])->gradient, gradient->data,
                         (size_t)gradient->bytes);
        }
        double scale = number(&file, "scale"), norm = adamw_norm(&adamw, scale);
        float expected = *(const float *)find(&file, "out.norm%d%s", step, "")->data;
        assert_true(fabs(norm - (double)expected) <= 8 * 0x1p-24 * norm);
        adamw_update(&adamw, number(&file, "rate"), scale, norm);
        ema_update(&ema);
    }
    for (int k = 0; k < 2; k++)
        expect_near(parameters_find(parameters, names[k]), find(&file, "out.%.0d%s", 0, names[k]));
    expect_near(parameters_find(parameters, "frozen"), find(&file, "in.%.0d%s", 0, "b"));
    ema_swap(&ema);
    for (int k = 0; k < 2; k++)
        expect_near(parameters_find(parameters, names[k]),
                    find(&file, "out.average.%.0d%s", 0, names[k]));
    ema_swap(&ema);
    expect_near(parameters_find(parameters, "b"), find(&file, "out.%.0d%s", 0, "b"));
    ema_destroy(&ema);
    adamw_destroy(&adamw);
    parameters_destroy(parameters);
    safetensors_close(&file);
}

static void test_golden(void **state)
{
    (void)state;
    for (int i = 0; kernel_sets[i]; i++)
        if (!simd_select(kernel_sets[i]))
            assert_true(golden_each("adamw", golden) > 0);
    simd_select(kernel_sets[0]);
}

static void test_ramps(void **state)
{
    (void)state;
    assert_true(fabs(ema_decay(0.9999, 1) - 2.0 / 11.0) < 1e-15);
    assert_true(fabs(ema_decay(0.9999, 90) - 91.0 / 100.0) < 1e-15);
    assert_true(ema_decay(0.9999, 1000000) == 0.9999);
    assert_true(ema_decay(0.5, 100) == 0.5);
    assert_true(fabs(adamw_warm_up(2.0, 4, 0) - 0.5) < 1e-15);
    assert_true(fabs(adamw_warm_up(2.0, 4, 2) - 1.5) < 1e-15);
    assert_true(adamw_warm_up(2.0, 4, 3) == 2.0);
    assert_true(adamw_warm_up(2.0, 4, 1000) == 2.0);
    assert_true(adamw_warm_up(2.0, 0, 0) == 2.0);
}

/* Counts around the edges of blocks, 4096, and of partial sums, 256 of them. */
static void test_threads(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 4095, 4097, 300 * 4096 + 17};
    const struct adamw_coefficients c = {0.5f, 0.1f, 0.95f, 0.05f, 0.99f, 1e-3f, 2.0f, 1e-8f};
    int most = omp_get_max_threads();
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        size_t bytes = (size_t)counts[k] * sizeof(float);
        float *gradient = kernel_values(DTYPE_F32, counts[k], 1, 0, 1), *result[3];
        double sum[3], exact = 0.0;
        for (int64_t i = 0; i < counts[k]; i++)
            exact += (double)gradient[i] * (double)gradient[i];
        for (int threads = 1; threads <= 3; threads++) {
            float *value = kernel_values(DTYPE_F32, counts[k], 2, 0, 1);
            float *m = kernel_values(DTYPE_F32, counts[k], 3, 0, 1);
            float *v = kernel_values(DTYPE_F32, counts[k], 4, 2, 1);
            omp_set_num_threads(threads);
            sum[threads - 1] = optimizer_square_sum(gradient, counts[k]);
            optimizer_adamw(value, m, v, gradient, counts[k], &c);
            optimizer_average(value, m, 0.25f, counts[k]);
            result[threads - 1] = value;
            assert_true(sum[threads - 1] == sum[0]);
            assert_memory_equal(value, result[0], bytes);
            free(m);
            free(v);
        }
        /* Sums of 4096 terms in lanes of at least 4: 1024 roundings at most. */
        assert_true(fabs(sum[0] - exact) <= 1024 * 0x1p-24 * exact);
        for (int i = 0; i < 3; i++)
            free(result[i]);
        free(gradient);
    }
    omp_set_num_threads(most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_ramps),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
