#include "lib/io/array.h"

#include "lib/core/error.h"
#include "lib/io/half.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void test_errors(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_set(&error, "%s is %d", "answer", 42), -1);
    assert_int_equal(error_prefix(&error, "slice %d", 7), -1);
    assert_string_equal(error.text, "slice 7: answer is 42");
    assert_int_equal(error_set(NULL, "nobody listens"), -1);
    assert_int_equal(error_prefix(NULL, "nobody listens"), -1);

    char longest[sizeof error.text];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    error_set(&error, "%s%s", longest, longest);
    assert_string_equal(error.text, longest);
    error_prefix(&error, "in");
    assert_memory_equal(error.text, "in: xxx", 7);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    error_prefix(&error, "%s", longest);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
}

static void test_counts(void **state)
{
    (void)state;
    struct array array = {.dtype = DTYPE_F64, .rank = 3, .shape = {5, 3, 2}};
    assert_int_equal(array_slices(&array), 5);
    assert_int_equal(array_slice_count(&array), 6);
    assert_int_equal(array_count(&array), 30);
    assert_int_equal(array_bytes(&array), 240);
    struct array scalar = {.dtype = DTYPE_U8};
    assert_int_equal(array_slices(&scalar), 1);
    assert_int_equal(array_slice_count(&scalar), 1);
    struct array vector = {.dtype = DTYPE_U16, .rank = 1, .shape = {7}};
    assert_int_equal(array_slices(&vector), 7);
    assert_int_equal(array_slice_count(&vector), 1);
}

static void test_batch(void **state)
{
    (void)state;
    struct array array = {.dtype = DTYPE_F32, .rank = 2, .shape = {1000000, 64}};
    assert_int_equal(array_batch(&array, 1000000), 1024);
    assert_int_equal(array_batch(&array, 7), 7);
    array.shape[1] = 1 << 20;
    assert_int_equal(array_batch(&array, 7), 1);
}

static void check_says(struct array array, const char *reason)
{
    struct error error = {""};
    assert_int_equal(array_check(&array, &error), *reason ? -1 : 0);
    assert_non_null(strstr(error.text, reason));
}

static void test_check(void **state)
{
    (void)state;
    check_says((struct array){0}, "");
    check_says((struct array){.rank = 2, .shape = {3, 0}}, "without elements: f4 (3, 0)");
    check_says((struct array){.rank = 2, .shape = {-3, 1}}, "without elements");
    check_says((struct array){.rank = ARRAY_RANK + 1}, "9 axes");
    struct array large = {.dtype = DTYPE_U8, .rank = 2, .shape = {INT64_MAX, 1}};
    check_says(large, "");
    large.dtype = DTYPE_U16;
    check_says(large, "absurd shape");
    large = (struct array){.rank = 3, .shape = {1LL << 31, 1LL << 31, 1LL << 31}};
    check_says(large, "absurd shape: f4 (2147483648, 2147483648, 2147483648)");
}

static void test_describe(void **state)
{
    (void)state;
    char text[64], small[8];
    struct array array = {.dtype = DTYPE_F32, .rank = 4, .shape = {64, 4, 64, 64}};
    assert_string_equal(array_describe(&array, text, sizeof text), "f4 (64, 4, 64, 64)");
    assert_string_equal(array_describe(&array, small, sizeof small), "f4 (64,");
    array = (struct array){.dtype = DTYPE_BOOL, .rank = 1, .shape = {5}};
    assert_string_equal(array_describe(&array, text, sizeof text), "b1 (5,)");
    array.rank = 0;
    assert_string_equal(array_describe(&array, text, sizeof text), "b1 ()");
}

static void test_names(void **state)
{
    (void)state;
    for (int i = DTYPE_F32; i <= DTYPE_BOOL; i++) {
        enum dtype dtype = DTYPE_F32;
        assert_int_equal(dtype_from_name(dtype_name((enum dtype)i), &dtype), 0);
        assert_int_equal(dtype, i);
    }
    enum dtype dtype;
    assert_string_equal(dtype_name(DTYPE_F16), "f2");
    assert_int_equal(dtype_from_name("f3", &dtype), -1);
    assert_int_equal(dtype_from_name("", &dtype), -1);
}

/* Every half there is, against its definition, and back. */
static void test_half(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        float sign = bits & 0x8000 ? -1 : 1, value = half_to_f32((uint16_t)bits);
        if (exponent == 31 && fraction) {
            assert_true(isnan(value));
            assert_true(isnan(half_to_f32(half_from_f32(value))));
            continue;
        }
        float expected = exponent == 31 ? INFINITY
                         : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                                        : ldexpf((float)fraction, -24);
        assert_true(value == sign * expected);
        assert_int_equal(half_from_f32(value), bits);
    }
}

/* Between two neighbours the nearer one, the even one in the middle. */
static void test_half_rounding(void **state)
{
    (void)state;
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        float low = half_to_f32(bits), high = half_to_f32((uint16_t)(bits + 1));
        float middle = (low + high) / 2; /* exact: 12 bits */
        assert_int_equal(half_from_f32(middle), bits + (bits & 1));
        assert_int_equal(half_from_f32(nextafterf(middle, low)), bits);
        assert_int_equal(half_from_f32(nextafterf(middle, high)), bits + 1);
        assert_int_equal(half_from_f32(-middle), 0x8000 | (bits + (bits & 1)));
    }
    assert_int_equal(half_from_f32(65519.996f), 0x7bff);
    assert_int_equal(half_from_f32(65520.0f), 0x7c00);
    assert_int_equal(half_from_f32(1e30f), 0x7c00);
}

static void test_derive(void **state)
{
    (void)state;
    struct array from = {.dtype = DTYPE_U8,
                         .rank = 3,
                         .shape = {1, 2, 3},
                         .kind = "volume",
                         .spacing = {1, 2, 3},
                         .original = {4, 5, 6},
                         .padded = {8, 8, 8},
                         .index = 7,
                         .of = 8,
                         .history = "noise"};
    struct array to = {.dtype = DTYPE_F32, .rank = 1, .shape = {9}, .kind = "labels", .axes = "D"};
    array_derive(&to, &from);
    assert_int_equal(to.dtype, DTYPE_F32);
    assert_int_equal(to.rank, 1);
    assert_string_equal(to.kind, "labels");
    assert_string_equal(to.axes, "D");
    assert_memory_equal(to.spacing, from.spacing, sizeof to.spacing);
    assert_memory_equal(to.original, from.original, sizeof to.original);
    assert_memory_equal(to.padded, from.padded, sizeof to.padded);
    assert_int_equal(to.index, 7);
    assert_int_equal(to.of, 8);
    assert_string_equal(to.history, "noise");
}

static void unpadded_is(struct array array, int64_t d, int64_t h, int64_t w)
{
    int64_t extent[3];
    array_unpadded(&array, extent);
    assert_int_equal(extent[0], d);
    assert_int_equal(extent[1], h);
    assert_int_equal(extent[2], w);
}

static void test_unpadded(void **state)
{
    (void)state;
    unpadded_is((struct array){.rank = 3, .shape = {7, 8, 9}}, 7, 8, 9);
    unpadded_is((struct array){.rank = 3, .shape = {64, 64, 64}, .original = {50, 64, 1}}, 50, 64,
                1);
    struct array array = {
        .rank = 4, .shape = {16, 4, 64, 32}, .original = {62, 60, 3}, .padded = {64, 64, 64}};
    unpadded_is(array, 16, 60, 2); /* 15.5 and 1.5 */
    array.shape[0] = 512;
    unpadded_is(array, 496, 60, 2);
    array.shape[3] = 8;
    unpadded_is(array, 496, 60, 1); /* 0.375, but never nothing */
}

static void test_history(void **state)
{
    (void)state;
    static struct array array;
    array_add_history(&array, "noise");
    array_add_history(&array, "diffuse3d\n--steps 2");
    assert_string_equal(array.history, "noise\ndiffuse3d --steps 2");
    array_cut_history(&array);
    assert_string_equal(array.history, "(earlier stages cut)\ndiffuse3d --steps 2");
    array_cut_history(&array);
    assert_string_equal(array.history, "(earlier stages cut)");
    array_cut_history(&array);
    assert_string_equal(array.history, "(earlier stages cut)");

    char line[40], newest[2 * ARRAY_HISTORY];
    for (int i = 0; i < 2000; i++) {
        snprintf(line, sizeof line, "stage%0*d", i % 30, i);
        array_add_history(&array, line);
        assert_true(strlen(array.history) < ARRAY_HISTORY);
        assert_string_equal(array.history + strlen(array.history) - strlen(line), line);
    }
    assert_true(strlen(array.history) > ARRAY_HISTORY - 100);
    assert_memory_equal(array.history, "(earlier stages cut)\nstage", 26);

    memset(newest, 'y', sizeof newest - 1);
    newest[sizeof newest - 1] = 0;
    for (int i = 0; i < 3; i++) {
        array_add_history(&array, newest);
        assert_true(strlen(array.history) < ARRAY_HISTORY);
        assert_int_equal(array.history[strlen(array.history) - 1], 'y');
    }
}

/* Short first entries must not let the marking entry push the rest out of the array. */
static void test_cut_full_history(void **state)
{
    (void)state;
    static struct array array;
    for (int i = 0; i < ARRAY_HISTORY - 1; i++)
        array.history[i] = i % 2 ? '\n' : 'x';
    array_cut_history(&array);
    assert_true(strlen(array.history) < ARRAY_HISTORY);
    assert_memory_equal(array.history, "(earlier stages cut)\nx\nx", 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_counts),
        cmocka_unit_test(test_batch),    cmocka_unit_test(test_check),
        cmocka_unit_test(test_describe), cmocka_unit_test(test_names),
        cmocka_unit_test(test_half),     cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_derive),   cmocka_unit_test(test_history),
        cmocka_unit_test(test_unpadded), cmocka_unit_test(test_cut_full_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
