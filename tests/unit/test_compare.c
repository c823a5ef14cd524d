#include "lib/io/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static struct comparison compare(const double *a, const double *b, int64_t count, double absolute,
                                 double relative)
{
    struct comparison comparison = {0};
    struct tolerance tolerance = {absolute, relative};
    comparison_add(&comparison, a, DTYPE_F64, b, DTYPE_F64, count, &tolerance);
    return comparison;
}

static void test_hand_case(void **state)
{
    (void)state;
    struct comparison result = compare((double[]){1, 2, 3, -4}, (double[]){1, 2.5, 3, -1}, 4, 0, 0);
    assert_int_equal(result.count, 4);
    assert_int_equal(result.beyond, 2);
    assert_true(result.max_absolute == 3);
    assert_int_equal(result.where, 3);
    assert_true(result.max_relative == 0.75);
    assert_true(comparison_rms(&result) == sqrt(9.25 / 4));
    assert_true(comparison_l2(&result) == sqrt(9.25) / sqrt(17.25));
}

/* |a − b| ≤ absolute + relative·|b|, the border included. */
static void test_tolerance(void **state)
{
    (void)state;
    const double a[] = {1.5, 8, -8, 0}, b[] = {1, 10, -10, 0};
    assert_int_equal(compare(a, b, 4, 0.5, 0).beyond, 2);
    assert_int_equal(compare(a, b, 4, 0, 0.25).beyond, 1);
    assert_int_equal(compare(a, b, 4, 0.25, 0.25).beyond, 0);
    assert_int_equal(compare(a, b, 4, 0, 0.125).beyond, 3);
    assert_int_equal(compare(a, b, 4, 2, 0).beyond, 0);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct comparison result = compare((double[]){NAN, 1, NAN, INFINITY, 7},
                                       (double[]){NAN, NAN, 1, INFINITY, 7}, 5, 1, 1);
    assert_int_equal(result.nan, 3);
    assert_int_equal(result.beyond, 3);
    assert_true(result.max_absolute == 0 && comparison_rms(&result) == 0);
    result =
        compare((double[]){INFINITY, 1, INFINITY}, (double[]){1, -INFINITY, -INFINITY}, 3, 1, 1);
    assert_int_equal(result.beyond, 3);
    assert_int_equal(result.nan, 0);
    assert_true(result.max_absolute == INFINITY && result.max_relative == INFINITY);
    assert_true(result.where == 0);
}

static void test_zeros(void **state)
{
    (void)state;
    struct comparison result = compare((double[]){0, -0.0}, (double[]){0, 0}, 2, 0, 0);
    assert_int_equal(result.beyond, 0);
    assert_true(comparison_l2(&result) == 0 && result.max_relative == 0);
    result = compare((double[]){1}, (double[]){0}, 1, 0, 0);
    assert_true(comparison_l2(&result) == INFINITY && result.max_relative == 1);
    result = (struct comparison){0};
    assert_true(comparison_rms(&result) == 0 && comparison_l2(&result) == 0);
}

/* Different types, in pieces of any length. */
static void test_types_and_pieces(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    static uint8_t a[COUNT];
    static float b[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = (uint8_t)(i * 7);
        b[i] = (float)a[i];
    }
    b[7001] += 0.5f;
    struct comparison result = {0};
    struct tolerance exact = {0, 0};
    for (int done = 0, part = 1; done < COUNT; done += part, part = part * 3 + 1) {
        part = part < COUNT - done ? part : COUNT - done;
        comparison_add(&result, a + done, DTYPE_U8, b + done, DTYPE_F32, part, &exact);
    }
    assert_int_equal(result.count, COUNT);
    assert_int_equal(result.beyond, 1);
    assert_int_equal(result.where, 7001);
    assert_true(result.max_absolute == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hand_case),        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_not_finite),       cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_types_and_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
