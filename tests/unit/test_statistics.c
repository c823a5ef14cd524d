#include "lib/io/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct statistics statistics;

static int setup(void **state)
{
    (void)state;
    statistics = (struct statistics){0};
    return 0;
}

static int64_t histogram_sum(int rows)
{
    int64_t count[64], sum = 0;
    statistics_histogram(&statistics, rows, count);
    for (int i = 0; i < rows; i++)
        sum += count[i];
    return sum;
}

static void test_hand_case(void **state)
{
    (void)state;
    statistics_add(&statistics, (float[]){1, 2, NAN, 3, INFINITY, -6, -INFINITY}, DTYPE_F32, 7);
    assert_int_equal(statistics.count, 4);
    assert_int_equal(statistics.nan, 1);
    assert_int_equal(statistics.infinite, 2);
    assert_true(statistics.min == -6 && statistics.max == 3 && statistics.mean == 0);
    assert_true(statistics_deviation(&statistics) == sqrt(12.5));
    int64_t count[3];
    statistics_histogram(&statistics, 3, count);
    assert_memory_equal(count, ((int64_t[]){1, 0, 3}), sizeof count);
}

static void test_nothing_finite(void **state)
{
    (void)state;
    statistics_add(&statistics, NULL, DTYPE_F32, 0);
    statistics_add(&statistics, (double[]){NAN}, DTYPE_F64, 1);
    assert_int_equal(statistics.count, 0);
    assert_int_equal(statistics.nan, 1);
    assert_true(statistics_deviation(&statistics) == 0);
}

/* Whole numbers fall in the rows where they belong. */
static void test_bytes(void **state)
{
    (void)state;
    uint8_t byte[256 * 3];
    for (int i = 0; i < 256 * 3; i++)
        byte[i] = (uint8_t)i;
    statistics_add(&statistics, byte, DTYPE_U8, 256 * 2);
    statistics_add(&statistics, byte, DTYPE_U8, 128);
    int64_t count[51]; /* rows of five values, the last one of six */
    statistics_histogram(&statistics, 51, count);
    for (int row = 0; row < 51; row++) {
        int64_t expected = row == 50 ? 6 * 2 : 5 * 2;
        for (int value = 5 * row; value < 5 * row + 5; value++)
            expected += value < 128;
        assert_int_equal(count[row], expected);
    }
}

/* Any pieces give the moments of the whole. The bound is that of summing n numbers in double. */
static void test_pieces(void **state)
{
    (void)state;
    enum { COUNT = 30000 };
    static double value[COUNT];
    uint32_t word = 1;
    long double sum = 0, squares = 0;
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < COUNT; i++) {
        word = word * 1664525 + 1013904223;
        value[i] = 1000 + ldexp((double)(word >> 8), i / 1000 - 30); /* the range keeps growing */
        sum += value[i];
        low = fmin(low, value[i]);
        high = fmax(high, value[i]);
    }
    for (int i = 0; i < COUNT; i++)
        squares += (value[i] - sum / COUNT) * (value[i] - sum / COUNT);
    for (int done = 0, part = 1; done < COUNT; done += part, part = part * 2 + 1) {
        part = part < COUNT - done ? part : COUNT - done;
        statistics_add(&statistics, value + done, DTYPE_F64, part);
    }
    double mean = (double)(sum / COUNT), deviation = (double)sqrtl(squares / COUNT);
    assert_int_equal(statistics.count, COUNT);
    assert_true(statistics.min == low && statistics.max == high);
    assert_true(fabs(statistics.mean - mean) <= COUNT * DBL_EPSILON * mean);
    assert_true(fabs(statistics_deviation(&statistics) - deviation) <=
                COUNT * DBL_EPSILON * deviation);
    assert_int_equal(histogram_sum(12), COUNT);

    /* A number may fall in a neighbouring row only when it is within a bin of the border. */
    int64_t count[12];
    statistics_histogram(&statistics, 12, count);
    double width = ldexp(1, statistics.exponent);
    assert_true(width <= (high - low) / (STATISTICS_BINS / 8));
    for (int row = 0; row < 12; row++) {
        int64_t least = 0, most = 0;
        double from = low + (high - low) * row / 12, to = low + (high - low) * (row + 1) / 12;
        for (int i = 0; i < COUNT; i++) {
            least += value[i] > from + width && value[i] < to - width;
            most += value[i] >= from - width && value[i] <= to + width;
        }
        assert_in_range(count[row], least, most);
    }
}

/* Ranges that would break the arithmetic of the bins. */
static void test_extreme_ranges(void **state)
{
    (void)state;
    static const double cases[][4] = {
        {-DBL_MAX, DBL_MAX, 0, 1},
        {0, 0, 0, 0},
        {0, DBL_TRUE_MIN, 0, -DBL_MIN},
        {1e18, 1e18 + 128, 1e18 - 128, 1e18},
        {1, 1 + DBL_EPSILON, 1, 1},
        {0, 1e300, -1e-300, 5},
        {-7, -7, -7, -7},
        {1e-300, 1e300, -1e300, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        setup(NULL);
        for (int i = 0; i < 4; i++) /* one by one, so that the bins must grow */
            statistics_add(&statistics, &cases[k][i], DTYPE_F64, 1);
        assert_int_equal(statistics.count, 4);
        assert_int_equal(histogram_sum(12), 4);
        setup(NULL);
        statistics_add(&statistics, cases[k], DTYPE_F64, 4);
        assert_int_equal(histogram_sum(12), 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hand_case, setup),
        cmocka_unit_test_setup(test_nothing_finite, setup),
        cmocka_unit_test_setup(test_bytes, setup),
        cmocka_unit_test_setup(test_pieces, setup),
        cmocka_unit_test_setup(test_extreme_ranges, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
