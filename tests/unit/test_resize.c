#include "lib/io/resize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The definition, one voxel at a time: along an axis, the elements and weights of output i. */
static int taps(enum resize_method method, int64_t i, int64_t in, int64_t factor, int64_t index[8],
                double weight[8])
{
    int64_t out = in / factor;
    if (method == RESIZE_NEAREST) {
        index[0] = i * in / out;
        weight[0] = 1;
        return 1;
    }
    if (method == RESIZE_AREA) {
        for (int64_t k = 0; k < factor; k++) {
            index[k] = i * factor + k;
            weight[k] = 1.0 / (double)factor;
        }
        return (int)factor;
    }
    double place = fmax(0, ((double)i + 0.5) * ((double)in / (double)out) - 0.5);
    index[0] = (int64_t)place;
    index[1] = index[0] + (index[0] < in - 1);
    weight[1] = place - (double)index[0];
    weight[0] = 1 - weight[1];
    return 2;
}

static double expected(enum resize_method method, const float *volume, const int64_t in[3],
                       const int64_t factor[3], int64_t z, int64_t y, int64_t x)
{
    int64_t index[3][8], at[3] = {z, y, x};
    double weight[3][8], sum = 0;
    int count[3];
    for (int i = 0; i < 3; i++)
        count[i] = taps(method, at[i], in[i], factor[i], index[i], weight[i]);
    for (int a = 0; a < count[0]; a++)
        for (int b = 0; b < count[1]; b++)
            for (int c = 0; c < count[2]; c++)
                sum += weight[0][a] * weight[1][b] * weight[2][c] *
                       (double)volume[(index[0][a] * in[1] + index[1][b]) * in[2] + index[2][c]];
    return sum;
}

static void check_volume(enum resize_method method, const int64_t in[3], const int64_t factor[3])
{
    struct resize *resize;
    struct error error;
    static float volume[16 * 16 * 16], slice[16 * 16];
    assert_int_equal(resize_open(&resize, method, in, factor, &error), 0);
    const int64_t *out = resize_extent(resize);
    for (int i = 0; i < 3; i++)
        assert_int_equal(out[i], in[i] / factor[i]);
    for (int64_t i = 0; i < in[0] * in[1] * in[2]; i++)
        volume[i] = (float)(i * 7919 % 1009) / 1009;
    int64_t z = 0;
    for (int64_t d = 0; d < in[0]; d++) {
        resize_put(resize, volume + d * in[1] * in[2]);
        while ((z < out[0] - 1 || d == in[0] - 1) && resize_take(resize, slice)) {
            for (int64_t y = 0; y < out[1]; y++)
                for (int64_t x = 0; x < out[2]; x++) {
                    double is = (double)slice[y * out[2] + x];
                    double should = expected(method, volume, in, factor, z, y, x);
                    /* three rounded weighted sums of at most five terms below 1 */
                    assert_true(fabs(is - should) <= 3 * 6 * FLT_EPSILON);
                    if (method == RESIZE_NEAREST)
                        assert_true(is == should);
                }
            z++;
        }
    }
    assert_int_equal(z, out[0]);
    assert_false(resize_take(resize, slice));
    resize_close(resize);
}

static void check_all(enum resize_method method)
{
    static const int64_t extents[][3] = {
        {4, 4, 4}, {7, 5, 9}, {16, 3, 5}, {5, 16, 11}, {12, 10, 16}};
    static const int64_t factors[][3] = {{2, 2, 2}, {1, 1, 1}, {3, 1, 2},
                                         {1, 3, 1}, {4, 3, 5}, {2, 3, 3}};
    for (size_t k = 0; k < sizeof extents / sizeof extents[0]; k++)
        for (size_t f = 0; f < sizeof factors / sizeof factors[0]; f++) {
            bool fits = true;
            for (int i = 0; i < 3; i++)
                fits = fits && factors[f][i] <= extents[k][i];
            if (fits)
                check_volume(method, extents[k], factors[f]);
        }
    check_volume(method, (int64_t[]){1, 1, 1}, (int64_t[]){1, 1, 1});
    check_volume(method, (int64_t[]){5, 5, 5}, (int64_t[]){5, 5, 5});
}

static void test_nearest(void **state)
{
    (void)state;
    check_all(RESIZE_NEAREST);
}

static void test_area(void **state)
{
    (void)state;
    check_all(RESIZE_AREA);
}

static void test_linear(void **state)
{
    (void)state;
    check_all(RESIZE_LINEAR);
}

static void test_refused_factor(void **state)
{
    (void)state;
    struct resize *resize;
    struct error error;
    assert_int_equal(
        resize_open(&resize, RESIZE_AREA, (int64_t[]){4, 3, 4}, (int64_t[]){4, 4, 4}, &error), -1);
    assert_string_equal(error.text, "factor 4 does not fit 3 elements along H");
    assert_null(resize);
    assert_int_equal(
        resize_open(&resize, RESIZE_AREA, (int64_t[]){4, 4, 4}, (int64_t[]){1, 1, 0}, &error), -1);
    resize_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_area),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_refused_factor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
