/* intensity_percentiles against sorting, intensity_map; frame_flip. */
#include "lib/io/frame.h"
#include "lib/scans/intensity.h"
#include "tests/unit/stream_files.h"

#include <math.h>

enum { COUNT = 50000 }; /* more than a piece of the histogram's */

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void check(const void *data, enum dtype dtype, const float *sorted)
{
    static const double percentiles[][2] = {{0, 100}, {1, 99}, {0.01, 99.99}, {50, 50.001}};
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        const double *p = percentiles[i];
        float value[2];
        struct error error;
        assert_int_equal(intensity_percentiles(data, dtype, COUNT, p, value, &error), 0);
        for (int k = 0; k < 2; k++)
            assert_true(value[k] == sorted[(int)floor(p[k] / 100 * (COUNT - 1))]);
    }
}

static void test_percentiles(void **state)
{
    (void)state;
    static float real[COUNT], sorted[COUNT];
    static uint16_t deep[COUNT];
    for (int i = 0; i < COUNT; i++) {
        uint32_t word = random_word();
        deep[i] = (uint16_t)word;
        real[i] = ldexpf((float)(int32_t)word, (int)(word % 61) - 60); /* both signs, all sizes */
    }
    memcpy(sorted, real, sizeof sorted);
    qsort(sorted, COUNT, sizeof *sorted, compare);
    check(real, DTYPE_F32, sorted);
    for (int i = 0; i < COUNT; i++)
        sorted[i] = deep[i];
    qsort(sorted, COUNT, sizeof *sorted, compare);
    check(deep, DTYPE_U16, sorted);

    struct error error;
    float value[2];
    real[COUNT - 1] = NAN;
    assert_int_equal(
        intensity_percentiles(real, DTYPE_F32, COUNT, (double[]){0, 100}, value, &error), -1);
    real[COUNT - 1] = -INFINITY;
    assert_int_equal(
        intensity_percentiles(real, DTYPE_F32, COUNT, (double[]){0, 100}, value, &error), -1);
}

static void test_map(void **state)
{
    (void)state;
    struct error error;
    float value[] = {-7, 100, 150, 175, 200, 1e30f};
    static const float expected[] = {-1, -1, 0, 0.5f, 1, 1};
    assert_int_equal(intensity_map(value, 6, 100, 200, &error), 0);
    assert_memory_equal(value, expected, sizeof value);
    value[3] = NAN;
    assert_int_equal(intensity_map(value, 6, 100, 200, &error), -1);
}

static void test_flip(void **state)
{
    (void)state;
    static const int16_t from[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; /* (2, 2, 3) */
    static const int16_t expected[4][12] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
        {2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9},
        {3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8},
        {5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6},
    };
    for (int i = 0; i < 4; i++) {
        int16_t to[12];
        frame_flip(from, 2, 2, 3, i & 2, i & 1, to, sizeof *to);
        assert_memory_equal(to, expected[i], sizeof to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_flip),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
