/* The vectorized functions on awkward numbers, and the choice of an instruction set. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"
#include "kernels/operation.h"
#include "tests/unit/kernel_check.h"
#include "tests/unit/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double u = 0x1p-24;

static void each_set(void (*test)(void))
{
    for (int i = 0; kernel_sets[i]; i++)
        if (!simd_select(kernel_sets[i])) {
            assert_string_equal(cpu_instruction_set(), kernel_sets[i]);
            test();
        }
}

static void test_selection(void **state)
{
    (void)state;
    assert_int_equal(simd_select("portable"), 0);
    assert_string_equal(cpu_instruction_set(), "portable");
    assert_int_equal(simd_select("mmx"), -1);
    assert_string_equal(cpu_instruction_set(), "portable");
}

/* Relative to the result: exp errs by 2u (its argument is reduced with one rounding, polynomial
 * and product), then a sum and a quotient. Below the smallest normal number (2^-126) it may be
 * anything as small. */
static void silu_everywhere(void)
{
    enum { COUNT = 20001 };
    static float from[COUNT], to[COUNT];
    for (int i = 0; i < COUNT; i++)
        from[i] = (float)(i - COUNT / 2) * 0.011f;
    simd()->linear->silu(from, to, COUNT);
    for (int i = 0; i < COUNT; i++) {
        double x = from[i], expected = x / (1.0 + exp(-x));
        double slack = 6.0 * u * fabs(expected) + 0x1p-120;
        if (!(fabs(to[i] - expected) <= slack))
            fail_msg("%s: silu(%.9g) is %.9g, not %.9g", simd()->name, x, to[i], expected);
    }
}

static void silu_of_extremes(void)
{
    float from[] = {-INFINITY, -3e38f, -1e4f, -88.0f,   -0.0f, 0.0f, 1e-40f,
                    88.5f,     1e4f,   3e38f, INFINITY, NAN,   -NAN};
    enum { COUNT = sizeof from / sizeof *from };
    float to[COUNT];
    simd()->linear->silu(from, to, COUNT);
    for (int i = 0; i < COUNT; i++)
        if (isnan(from[i]))
            assert_true(isnan(to[i]));
        else if (from[i] < 1.0f)
            assert_true(fabsf(to[i]) < 1e-35f);
        else
            assert_true(to[i] == from[i]);
}

static void test_silu(void **state)
{
    (void)state;
    each_set(silu_everywhere);
    each_set(silu_of_extremes);
}

/* Two blocks of scores against exp in double; scores without a key weigh exactly nothing. */
static void softmax_of_blocks(void)
{
    enum { BLOCK = 48, KEYS = 41 };
    float scores[2][BLOCK], maximum = -INFINITY, sum = 0.0f;
    double total = 0.0, highest = 25.0;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < BLOCK; i++) {
            scores[k][i] = i < KEYS ? (float)(i * 7 % 41 + 10 * k) * 0.5f : -INFINITY;
            total += exp(scores[k][i] - highest);
        }
        float before = maximum;
        float factor = simd()->attention->softmax(scores[k], BLOCK, &maximum, &sum);
        assert_true(maximum == 20.0f + 5.0f * (float)k);
        assert_true(fabs(factor - exp(before - maximum)) <= 4.0 * u);
        for (int i = 0; i < BLOCK; i++) {
            double weight = i < KEYS ? exp((i * 7 % 41 + 10 * k) * 0.5 - maximum) : 0.0;
            assert_true(fabs(scores[k][i] - weight) <= 4.0 * u * weight);
        }
    }
    assert_true(fabs(sum - total) <= 10.0 * u * total);
}

static void softmax_of_extremes(void)
{
    float scores[16], maximum = -INFINITY, sum = 0.0f;
    for (int i = 0; i < 16; i++)
        scores[i] = i == 5 ? 3e38f : i % 2 ? -3e38f : 1e30f;
    simd()->attention->softmax(scores, 16, &maximum, &sum);
    for (int i = 0; i < 16; i++)
        assert_true(scores[i] == (i == 5 ? 1.0f : 0.0f));
    assert_true(sum == 1.0f);
    for (int i = 0; i < 16; i++)
        scores[i] = i == 9 ? NAN : 0.0f;
    simd()->attention->softmax(scores, 16, &maximum, &sum);
    assert_true(isnan(sum));
}

static void test_softmax(void **state)
{
    (void)state;
    each_set(softmax_of_blocks);
    each_set(softmax_of_extremes);
}

/* All bf16 numbers come back; between two, the nearest is taken, and in the middle the even one. */
static void bf16_both_ways(void)
{
    enum { COUNT = 65536 };
    static uint16_t bits[COUNT], back[COUNT];
    static float values[COUNT], middles[COUNT];
    for (int i = 0; i < COUNT; i++)
        bits[i] = (uint16_t)i;
    bf16_to_f32(bits, values, COUNT);
    f32_to_bf16(values, back, COUNT);
    for (int i = 0; i < COUNT; i++) {
        if (isnan(values[i])) {
            assert_int_equal(back[i] & 0x7fff, (i & 0x7fff) | 0x40);
            continue;
        }
        assert_int_equal(back[i], i);
        assert_true(values[i] == (float)reference_get(bits, DTYPE_BF16, i));
    }
    const int infinity = 0x7f80;
    for (int i = 0; i < infinity; i++) {
        uint32_t middle = ((uint32_t)i << 16) + 0x8000;
        memcpy(&middles[i], &middle, sizeof middle);
    }
    f32_to_bf16(middles, back, infinity);
    for (int i = 0; i < infinity; i++)
        assert_int_equal(back[i], i % 2 ? i + 1 : i);
    for (int i = 0; i < infinity; i++)
        middles[i] = -nextafterf(middles[i], INFINITY);
    f32_to_bf16(middles, back, infinity);
    for (int i = 0; i < infinity; i++)
        assert_int_equal(back[i], 0x8000 + i + 1);
}

/* Rows that are no whole number of vectors end where they end. */
static void bf16_rows(void)
{
    for (int count = 0; count < 70; count++) {
        float values[72];
        uint16_t bits[72];
        for (int i = 0; i < 72; i++)
            values[i] = (float)i;
        memset(bits, 0xFF, sizeof bits);
        f32_to_bf16(values, bits, count);
        for (int i = 0; i < 72; i++)
            assert_int_equal(bits[i] == 0xFFFF, i >= count);
        memset(values, 0xFF, sizeof values);
        bf16_to_f32(bits, values, count);
        for (int i = 0; i < 72; i++)
            assert_int_equal(isnan(values[i]) != 0, i >= count);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    each_set(bf16_both_ways);
    each_set(bf16_rows);
}

static void test_weights(void **state)
{
    (void)state;
    enum { COUNT = 65536 };
    static const struct {
        int bits;
        double value;
    } known[] = {{0, 0.0},          {0x0001, 0x1p-24}, {0x03ff, 0x3ffp-24},
                 {0x0400, 0x1p-14}, {0x3c00, 1.0},     {0x3c01, 1.0009765625},
                 {0xc000, -2.0},    {0x7bff, 65504.0}, {0xfc00, -INFINITY}};
    static uint16_t bits[COUNT];
    static float values[COUNT];
    for (int i = 0; i < COUNT; i++)
        bits[i] = (uint16_t)i;
    struct weight weight = kernel_weight(bits, DTYPE_F16, 1, COUNT, 1);
    weight_to_f32(&weight, 0, COUNT, values);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_true(values[known[i].bits] == known[i].value);
    for (int i = 1; i <= 0x7c00; i++) {
        assert_true(values[i] > values[i - 1]);
        assert_true(values[0x8000 + i] == -values[i]);
    }
    for (int i = 0x7c01; i < 0x8000; i++)
        assert_true(isnan(values[i]) && isnan(values[0x8000 + i]));

    /* A part of a weight that lies at an odd address. */
    char unaligned[1 + 4 * 4];
    const float numbers[] = {1.0f, -2.5f, 3.0f, 0.125f};
    const uint16_t halves[] = {0x3f80, 0xc020, 0x4040, 0x3e00};
    float part[2];
    memcpy(unaligned + 1, numbers, sizeof numbers);
    weight = kernel_weight(unaligned + 1, DTYPE_F32, 1, 4, 1);
    weight_to_f32(&weight, 1, 2, part);
    assert_memory_equal(part, numbers + 1, sizeof part);
    memcpy(unaligned + 1, halves, sizeof halves);
    weight.dtype = DTYPE_BF16;
    weight_to_f32(&weight, 2, 2, part);
    assert_memory_equal(part, numbers + 2, sizeof part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection), cmocka_unit_test(test_silu),
        cmocka_unit_test(test_softmax),   cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
