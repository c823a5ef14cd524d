/* The Fréchet distance: a golden, hand cases, refusals; features do not depend on the batch. */
#include "lib/metrics/slice_features.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct safetensor *find_f64(const struct safetensors *file, const char *name)
{
    const struct safetensor *tensor = golden_tensor(file, name);
    assert_int_equal(tensor->dtype, DTYPE_F64);
    return tensor;
}

static double element(const struct safetensor *tensor, int64_t i)
{
    double value;
    memcpy(&value, (const char *)tensor->data + i * (int64_t)sizeof value, sizeof value);
    return value;
}

static struct moments moments_of(const double *vectors, int64_t count, int64_t features)
{
    struct moments moments;
    struct error error;
    assert_int_equal(moments_open(&moments, features, &error), 0);
    for (int64_t i = 0; i < count; i++)
        moments_add(&moments, vectors + i * features);
    moments_flush(&moments);
    return moments;
}

static struct moments moments_of_golden(const struct safetensors *file, const char *name)
{
    const struct safetensor *tensor = find_f64(file, name);
    int64_t count = tensor->shape[0] * tensor->shape[1];
    double *vectors = calloc((size_t)count, sizeof *vectors);
    assert_non_null(vectors);
    memcpy(vectors, tensor->data, (size_t)count * sizeof *vectors);
    struct moments moments = moments_of(vectors, tensor->shape[0], tensor->shape[1]);
    free(vectors);
    return moments;
}

static double distance_of(struct moments *a, struct moments *b)
{
    double distance;
    struct error error = {""};
    if (frechet_distance(a, b, &distance, &error) < 0)
        fail_msg("%s", error.text);
    return distance;
}

/* `scale` is the size of the terms that the value is made of: some hundred roundings of them. */
static void assert_near(double value, double expected, double scale)
{
    if (!(fabs(value - expected) <= 1e-13 * scale))
        fail_msg("%.17g, expected %.17g, off by %.3g of %.3g", value, expected,
                 fabs(value - expected), scale);
}

static double variance_of(const struct moments *moments)
{
    double sum = 0;
    for (int64_t i = 0; i < moments->features; i++)
        sum += moments->products[i * (moments->features + 1)] / (double)(moments->count - 1);
    return sum;
}

static void check_golden(const char *path)
{
    struct safetensors file;
    struct error error = {""};
    if (safetensors_open(&file, path, &error) < 0)
        fail_msg("%s: %s", path, error.text);
    struct moments a = moments_of_golden(&file, "in.a"), b = moments_of_golden(&file, "in.b"),
                   few = moments_of_golden(&file, "in.few");
    const struct safetensor *mean = find_f64(&file, "out.mean_a"),
                            *covariance = find_f64(&file, "out.covariance_a");
    double scale = variance_of(&a) + variance_of(&b) + variance_of(&few);
    for (int64_t i = 0; i < a.features; i++)
        assert_near(a.mean[i], element(mean, i), sqrt(scale));
    for (int64_t i = 0; i < a.features; i++)
        for (int64_t k = 0; k <= i; k++)
            assert_near(a.products[i * a.features + k] / (double)(a.count - 1),
                        element(covariance, i * a.features + k), scale);
    assert_near(distance_of(&a, &b), element(find_f64(&file, "out.distance_ab"), 0), scale);
    assert_near(distance_of(&b, &a), element(find_f64(&file, "out.distance_ab"), 0), scale);
    assert_near(distance_of(&a, &few), element(find_f64(&file, "out.distance_a_few"), 0), scale);
    assert_near(distance_of(&a, &a), 0, scale);
    moments_close(&a);
    moments_close(&b);
    moments_close(&few);
    safetensors_close(&file);
}

static void test_golden(void **state)
{
    (void)state;
    assert_true(golden_each("frechet", check_golden) >= 1);
}

static void test_hand_cases(void **state)
{
    (void)state;
    /* Along the axes, where the root of the covariances is that of each variance. */
    const double a[] = {1, 2, 3, 2, 2, 5, 2, -1};        /* variances 2/3 and 6, mean (2, 2) */
    const double b[] = {5, 0, -5, 0, 0, 1, 0, -1, 0, 0}; /* 50/4 and 2/4, mean (0, 0) */
    struct moments x = moments_of(a, 4, 2), y = moments_of(b, 5, 2);
    double first = sqrt(2.0 / 3) - sqrt(12.5), second = sqrt(6) - sqrt(0.5);
    assert_near(distance_of(&x, &y), 8 + first * first + second * second, 30);
    moments_close(&x);
    moments_close(&y);
    /* Of one line each, at a right angle: the covariances have nothing in common. */
    const double line[] = {1, 1, -1, -1}, across[] = {1, -1, -1, 1};
    x = moments_of(line, 2, 2);
    y = moments_of(across, 2, 2);
    assert_near(distance_of(&x, &y), 4 + 4, 8);
    moments_close(&x);
    moments_close(&y);
    /* Far from the origin: the sums of squares are 1e16, the variances 1. */
    const double far[] = {1e8 - 1, 1e8, 1e8 + 1}, near[] = {-2, 0, 2};
    x = moments_of(far, 3, 1);
    y = moments_of(near, 3, 1);
    assert_true(x.products[0] == 2);
    assert_true(distance_of(&x, &y) == 1e16 + 1);
    moments_close(&x);
    moments_close(&y);
}

static void test_refusals(void **state)
{
    (void)state;
    struct error error = {""};
    double distance;
    const double vectors[] = {1, 2, 3, 4};
    struct moments one = moments_of(vectors, 1, 2), two = moments_of(vectors, 2, 2),
                   other = moments_of(vectors, 4, 1);
    assert_int_equal(frechet_distance(&two, &one, &distance, &error), -1);
    assert_non_null(strstr(error.text, "2 and 1 vectors"));
    assert_int_equal(frechet_distance(&two, &other, &distance, &error), -1);
    assert_non_null(strstr(error.text, "2 and 1 features"));
    moments_close(&one);
    moments_close(&two);
    moments_close(&other);
}

/* Moments of `slices` slices (16, 24) that depend on nothing but their number. */
static struct moments encode(struct weights *weights, int64_t memory, int64_t slices,
                             int64_t *batch)
{
    struct stage_settings settings = {backend_cpu(), DTYPE_F32};
    struct slice_features features;
    struct feature_set set = {.takes_moments = true};
    struct error error = {""};
    if (slice_features_open(&features, SLICE_ENCODER, weights, 16, 24, memory, &settings, &error))
        fail_msg("%s", error.text);
    for (int64_t i = 0; i < slices; i++) {
        float *slice = slice_features_place(&features);
        for (int64_t k = 0; k < 16 * 24; k++)
            slice[k] = sinf((float)(i * 1000 + k));
        assert_int_equal(slice_features_add(&features, &set, &error), 0);
    }
    assert_int_equal(slice_features_flush(&features, &set, &error), 0);
    assert_int_equal(set.count, slices);
    moments_flush(&set.moments);
    *batch = features.batch;
    slice_features_close(&features);
    return set.moments;
}

static void check_batches(const char *path)
{
    struct weights *weights;
    struct error error = {""};
    int64_t batch;
    if (weights_open(&weights, path, false, &error) < 0)
        fail_msg("%s", error.text);
    struct moments alone = encode(weights, 1, 5, &batch);
    assert_int_equal(batch, 1);
    struct moments together = encode(weights, 0, 5, &batch);
    assert_true(batch > 5); /* so that a call is filled in part */
    size_t features = (size_t)alone.features;
    assert_true(variance_of(&alone) > 0);
    assert_memory_equal(alone.mean, together.mean, features * sizeof *alone.mean);
    assert_memory_equal(alone.products, together.products,
                        features * features * sizeof *alone.products);
    moments_close(&alone);
    moments_close(&together);
    weights_close(weights);
}

static void test_batches(void **state)
{
    (void)state;
    assert_true(golden_each("encode2d", check_batches) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_hand_cases),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
