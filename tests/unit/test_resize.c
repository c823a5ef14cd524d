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

enum { LONGEST = 16 };

/* The definition, one voxel at a time: along an axis, the elements and weights of output i. */
static int taps(enum resize_method method, int64_t i, int64_t in, int64_t out,
                int64_t index[LONGEST], double weight[LONGEST])
{
    if (method == RESIZE_NEAREST) {
        index[0] = i * in / out;
        weight[0] = 1;
        return 1;
    }
    if (method == RESIZE_AREA) {
        int64_t from = i * in / out, end = ((i + 1) * in + out - 1) / out;
        for (int64_t k = from; k < end; k++) {
            index[k - from] = k;
            weight[k - from] = 1.0 / (double)(end - from);
        }
        return (int)(end - from);
    }
    double place = fmax(0, ((double)i + 0.5) * ((double)in / (double)out) - 0.5);
    index[0] = (int64_t)place;
    index[1] = index[0] + (index[0] < in - 1);
    weight[1] = place - (double)index[0];
    weight[0] = 1 - weight[1];
    return 2;
}

static double expected(enum resize_method method, const float *volume,
                       const struct resize_size *size, const int64_t at[3])
{
    int64_t index[3][LONGEST];
    double weight[3][LONGEST], sum = 0;
    int count[3];
    for (int i = 0; i < 3; i++)
        count[i] = taps(method, at[i], size->used[i], size->out[i], index[i], weight[i]);
    for (int a = 0; a < count[0]; a++)
        for (int b = 0; b < count[1]; b++)
            for (int c = 0; c < count[2]; c++)
                sum += weight[0][a] * weight[1][b] * weight[2][c] *
                       (double)volume[(index[0][a] * size->in[1] + index[1][b]) * size->in[2] +
                                      index[2][c]];
    return sum;
}

static void check_volume(enum resize_method method, const struct resize_size *size)
{
    struct resize *resize;
    struct error error;
    static float volume[LONGEST * LONGEST * LONGEST], slice[32 * 32];
    const int64_t *in = size->in, *out = size->out;
    assert_int_equal(resize_open(&resize, method, size, &error), 0);
    for (int64_t i = 0; i < in[0] * in[1] * in[2]; i++)
        volume[i] = (float)(i * 7919 % 1009) / 1009;
    int64_t z = 0;
    for (int64_t d = 0; d < in[0]; d++) {
        resize_put(resize, volume + d * in[1] * in[2]);
        while ((z < out[0] - 1 || d == in[0] - 1) && resize_take(resize, slice)) {
            for (int64_t y = 0; y < out[1]; y++)
                for (int64_t x = 0; x < out[2]; x++) {
                    double is = (double)slice[y * out[2] + x];
                    double should = expected(method, volume, size, (int64_t[]){z, y, x});
                    /* three rounded weighted sums of at most LONGEST terms below 1 */
                    assert_true(fabs(is - should) <= 3 * (LONGEST + 1) * FLT_EPSILON);
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

/* Smaller, larger and as it was, by whole factors and others, of all elements or the first ones. */
static void check_all(enum resize_method method)
{
    static const int64_t extents[][3] = {{4, 4, 4},    {7, 5, 9}, {16, 3, 5}, {5, 16, 11},
                                         {12, 10, 16}, {1, 1, 1}, {5, 5, 5},  {13, 2, 1}};
    static const int64_t sizes[][3] = {{1, 1, 1}, {2, 2, 2},    {5, 1, 3}, {4, 16, 5},
                                       {8, 7, 6}, {13, 17, 24}, {5, 5, 5}};
    for (size_t k = 0; k < sizeof extents / sizeof extents[0]; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (int64_t less = 0; less < 2; less++) {
                struct resize_size size;
                for (int i = 0; i < 3; i++) {
                    size.in[i] = extents[k][i];
                    size.used[i] = size.in[i] > less ? size.in[i] - less : size.in[i];
                    size.out[i] = sizes[s][i];
                }
                check_volume(method, &size);
            }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_area),
        cmocka_unit_test(test_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
