#include "lib/io/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

/* Two elements of a type, as f32 and as f64. */
static void reads_as(const void *from, enum dtype dtype, double a, double b)
{
    double wide[2];
    float narrow[2];
    array_to_f64(from, dtype, wide, 2);
    array_to_f32(from, dtype, narrow, 2);
    assert_true(wide[0] == a && wide[1] == b);
    assert_true(narrow[0] == (float)a && narrow[1] == (float)b);
}

static void test_to_real(void **state)
{
    (void)state;
    reads_as((double[]){0.1, -1e300}, DTYPE_F64, 0.1, -1e300);
    reads_as((float[]){0.1f, -2}, DTYPE_F32, 0.1f, -2);
    reads_as((uint16_t[]){0x3f80, 0xc000}, DTYPE_BF16, 1, -2);
    reads_as((uint16_t[]){0x3c00, 0xc000}, DTYPE_F16, 1, -2);
    reads_as((uint8_t[]){0, 255}, DTYPE_U8, 0, 255);
    reads_as((int8_t[]){-128, 127}, DTYPE_I8, -128, 127);
    reads_as((uint16_t[]){0, 65535}, DTYPE_U16, 0, 65535);
    reads_as((int16_t[]){-32768, 1}, DTYPE_I16, -32768, 1);
    reads_as((uint32_t[]){0, UINT32_MAX}, DTYPE_U32, 0, UINT32_MAX);
    reads_as((int32_t[]){INT32_MIN, INT32_MAX}, DTYPE_I32, INT32_MIN, INT32_MAX);
    reads_as((uint64_t[]){3, UINT64_MAX}, DTYPE_U64, 3, 0x1p64);
    reads_as((int64_t[]){INT64_MIN, -3}, DTYPE_I64, -0x1p63, -3);
    reads_as((uint8_t[]){0, 2}, DTYPE_BOOL, 0, 1);
}

/* Every value of the small types comes back through f64 and f32. */
static void test_round_trip(void **state)
{
    (void)state;
    static const enum dtype types[] = {DTYPE_U8,  DTYPE_I8,  DTYPE_U16,
                                       DTYPE_I16, DTYPE_F16, DTYPE_BF16};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
        for (uint32_t bits = 0; bits < (dtype_size(types[k]) == 1 ? 0x100u : 0x10000u); bits++) {
            double wide;
            float narrow;
            uint16_t from = (uint16_t)bits, back = 0;
            array_to_f64(&from, types[k], &wide, 1);
            array_to_f32(&from, types[k], &narrow, 1);
            assert_int_equal(array_from_f64(&wide, types[k], &back, 1), 0);
            if (isnan(wide)) {
                array_to_f64(&back, types[k], &wide, 1);
                assert_true(isnan(wide));
                continue;
            }
            assert_int_equal(back, from);
            back = 0;
            assert_int_equal(array_from_f32(&narrow, types[k], &back, 1), 0);
            assert_int_equal(back, from);
        }
}

/* Rounding to nearest, ties to even; bounds; NaN. */
static void test_to_integer(void **state)
{
    (void)state;
    const double value[] = {2.5, 3.5, -0.5, 254.6, 255.5, 1e300, -1e300, INFINITY, -INFINITY, NAN};
    const uint8_t bytes[] = {2, 4, 0, 255, 255, 255, 0, 255, 0, 0};
    const int16_t shorts[] = {2, 4, 0, 255, 256, 32767, INT16_MIN, INT16_MAX, INT16_MIN, 0};
    uint8_t byte[10];
    int16_t number[10];
    assert_int_equal(array_from_f64(value, DTYPE_U8, byte, 10), 1);
    assert_memory_equal(byte, bytes, sizeof bytes);
    assert_int_equal(array_from_f64(value, DTYPE_I16, number, 10), 1);
    assert_memory_equal(number, shorts, sizeof shorts);
    assert_int_equal(array_from_f64(value, DTYPE_BOOL, byte, 10), 1);
    assert_memory_equal(byte, ((uint8_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 0}), 10);

    uint64_t large[3];
    array_from_f64((double[]){0x1p64, 0x1.fffffffffffffp63, -1}, DTYPE_U64, large, 3);
    assert_true(large[0] == UINT64_MAX && large[1] == UINT64_MAX - 2047 && large[2] == 0);
    int64_t whole[3];
    array_from_f64((double[]){0x1p63, -0x1p63, -0x1p70}, DTYPE_I64, whole, 3);
    assert_true(whole[0] == INT64_MAX && whole[1] == INT64_MIN && whole[2] == INT64_MIN);
    uint32_t word[2];
    array_from_f64((double[]){4294967295.4, 4294967294.6}, DTYPE_U32, word, 2);
    assert_true(word[0] == UINT32_MAX && word[1] == UINT32_MAX);
    int32_t sign[2];
    array_from_f64((double[]){-2147483648.4, 2147483646.6}, DTYPE_I32, sign, 2);
    assert_true(sign[0] == INT32_MIN && sign[1] == INT32_MAX);
    int8_t small[2];
    array_from_f64((double[]){-128.5, 127.4}, DTYPE_I8, small, 2);
    assert_true(small[0] == -128 && small[1] == 127);
    uint16_t middle[2];
    array_from_f64((double[]){65535.5, 0.5}, DTYPE_U16, middle, 2);
    assert_true(middle[0] == 65535 && middle[1] == 0);
}

/* Rounded once: 1 + 2^-11 is a tie that stays at 1, and a little more than it is not, although the
 * f32 between rounds it to the tie. The same for bf16 at 1 + 2^-8. */
static void test_single_rounding(void **state)
{
    (void)state;
    uint16_t half[4], bfloat[4];
    const double low[] = {1 + 0x1p-11, 1 + 0x1p-11 + 0x1p-40, -1 - 0x1p-11 - 0x1p-40,
                          1 + 0x3p-11 - 0x1p-40};
    assert_int_equal(array_from_f64(low, DTYPE_F16, half, 4), 0);
    assert_memory_equal(half, ((uint16_t[]){0x3c00, 0x3c01, 0xbc01, 0x3c01}), sizeof half);
    const double coarse[] = {1 + 0x1p-8, 1 + 0x1p-8 + 0x1p-40, 1e39, NAN};
    assert_int_equal(array_from_f64(coarse, DTYPE_BF16, bfloat, 4), 0);
    assert_memory_equal(bfloat, ((uint16_t[]){0x3f80, 0x3f81, 0x7f80}), 6);
    assert_int_equal(bfloat[3] & 0x7f80, 0x7f80);
    assert_int_not_equal(bfloat[3] & 0x7f, 0);

    float narrow[2];
    double wide[2];
    array_from_f64((double[]){0.1, 1e39}, DTYPE_F32, narrow, 2);
    assert_true(narrow[0] == 0.1f && narrow[1] == INFINITY);
    array_from_f64((double[]){0.1, -0.0}, DTYPE_F64, wide, 2);
    assert_true(wide[0] == 0.1 && signbit(wide[1]));
}

/* Longer than array_from_f32 takes at once. */
static void test_long(void **state)
{
    (void)state;
    static float from[5000];
    static uint16_t to[5000];
    for (int i = 0; i < 5000; i++)
        from[i] = i % 7 ? (float)i : NAN;
    assert_int_equal(array_from_f32(from, DTYPE_U16, to, 5000), 715);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(to[i], i % 7 ? i : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_real),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_to_integer), cmocka_unit_test(test_single_rounding),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
