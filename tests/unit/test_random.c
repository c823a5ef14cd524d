#include "lib/core/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The known answers that Random123 publishes for philox4x32, 10 rounds. */
static void test_known_answers(void **state)
{
    (void)state;
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t word[4];
        random_philox(cases[i], cases[i] + 4, word);
        assert_memory_equal(word, cases[i] + 6, sizeof word);
    }
}

/* The layout that random.h describes: each field at its place, the largest value in its bits. */
static void test_counter_fields(void **state)
{
    (void)state;
    static const struct {
        struct random_key key;
        uint64_t block;
        uint32_t counter[4], philox_key[2];
    } cases[] = {
        {{.seed = 0x0123456789abcdef}, 0, {0, 0, 0, 0}, {0x89abcdef, 0x01234567}},
        {{.seed = 0}, 0x3ffffffff, {0xffffffff, 3, 0, 0}, {0, 0}},
        {{.stage = RANDOM_PHANTOM}, 0, {0, RANDOM_PHANTOM << 2, 0, 0}, {0, 0}},
        {{.step = (1 << 26) - 1}, 0, {0, 0xffffffc0, 0, 0}, {0, 0}},
        {{.slice = 0xffffffff}, 0, {0, 0, 0xffffffff, 0}, {0, 0}},
        {{.array = 0xffffffff}, 1, {1, 0, 0, 0xffffffff}, {0, 0}},
    };
    assert_true(RANDOM_PHANTOM < 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t word[4], expected[4];
        random_block(&cases[i].key, cases[i].block, word);
        random_philox(cases[i].counter, cases[i].philox_key, expected);
        assert_memory_equal(word, expected, sizeof word);
    }
}

/* A shorter request is the beginning of a longer one. */
static void test_prefixes(void **state)
{
    (void)state;
    enum { COUNT = 37 };
    const struct random_key key = {.seed = 7, .stage = RANDOM_REFINE, .array = 1, .slice = 511};
    float normal[COUNT], uniform[COUNT];
    random_normal(&key, normal, COUNT);
    random_uniform(&key, -1, 3, uniform, COUNT);
    for (int count = 0; count < COUNT; count++) {
        float part[COUNT + 1];
        memset(part, 0x5a, sizeof part);
        const float untouched = part[0];
        random_normal(&key, part, count);
        assert_memory_equal(part, normal, (size_t)count * sizeof *part);
        assert_memory_equal(&part[count], &untouched, sizeof untouched);
        random_uniform(&key, -1, 3, part, count);
        assert_memory_equal(part, uniform, (size_t)count * sizeof *part);
        assert_memory_equal(&part[count], &untouched, sizeof untouched);
    }
}

/* Box-Muller worked out by hand for the known answer of counter 0, key 0. */
static void test_normal_by_hand(void **state)
{
    (void)state;
    const struct random_key key = {.seed = 0};
    float normal[4];
    random_normal(&key, normal, 4);
    const double word[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (int i = 0; i < 4; i += 2) {
        double radius = sqrt(-2 * log((word[i] + 0.5) / 4294967296.0));
        double angle = 8 * atan(1.0) * word[i + 1] / 4294967296.0;
        assert_true(fabs(normal[i] - radius * cos(angle)) < 3e-7);
        assert_true(fabs(normal[i + 1] - radius * sin(angle)) < 3e-7);
    }
}

enum { SAMPLES = 1 << 20 };

/* The k-th moment of n normals scatters by √(E x^2k − (E x^k)²)/√n; the bound is five of these. */
static void test_normal_moments(void **state)
{
    (void)state;
    float *x = malloc(SAMPLES * sizeof *x);
    assert_non_null(x);
    for (uint64_t seed = 0; seed < 3; seed++) {
        const struct random_key key = {.seed = seed << 40, .slice = 3};
        random_normal(&key, x, SAMPLES);
        double sum[5] = {0}, neighbours[4] = {0}, largest = 0;
        for (int i = 0; i < SAMPLES; i++) {
            double power = 1;
            for (int k = 1; k <= 4; k++)
                sum[k] += power *= x[i];
            for (int lag = 1; lag <= 4 && i + lag < SAMPLES; lag++)
                neighbours[lag - 1] += (double)x[i] * x[i + lag];
            largest = fmax(largest, fabs(x[i]));
        }
        const double expected[5] = {1, 0, 1, 0, 3}, variance[5] = {0, 1, 2, 15, 96};
        for (int k = 1; k <= 4; k++)
            assert_true(fabs(sum[k] / SAMPLES - expected[k]) < 5 * sqrt(variance[k] / SAMPLES));
        for (int lag = 0; lag < 4; lag++)
            assert_true(fabs(neighbours[lag] / SAMPLES) < 5 / sqrt(SAMPLES));
        assert_true(largest > 4 && largest < 6.8);
    }
    free(x);
}

/* 256 classes of a normal by its distribution function: chi-squared within five of its sigmas. */
static void test_normal_distribution(void **state)
{
    (void)state;
    enum { CLASSES = 256 };
    float *x = malloc(SAMPLES * sizeof *x);
    assert_non_null(x);
    const struct random_key key = {.seed = 99};
    random_normal(&key, x, SAMPLES);
    int64_t seen[CLASSES] = {0};
    for (int i = 0; i < SAMPLES; i++)
        seen[(int)(CLASSES * 0.5 * erfc(-x[i] / sqrt(2.0)))]++;
    double chi_squared = 0, expected = (double)SAMPLES / CLASSES;
    for (int i = 0; i < CLASSES; i++)
        chi_squared += (seen[i] - expected) * (seen[i] - expected) / expected;
    assert_true(fabs(chi_squared - (CLASSES - 1)) < 5 * sqrt(2.0 * (CLASSES - 1)));
    free(x);
}

/* Streams of neighbouring keys are uncorrelated with one another. */
static void test_keys_independent(void **state)
{
    (void)state;
    enum { COUNT = 1 << 16 };
    static float base[COUNT], other[COUNT];
    const struct random_key key = {.seed = 5, .stage = RANDOM_NOISE};
    const struct random_key others[] = {
        {.seed = 6},
        {.seed = 5 + (UINT64_C(1) << 32)},
        {.seed = 5, .stage = RANDOM_REFINE},
        {.seed = 5, .array = 1},
        {.seed = 5, .slice = 1},
        {.seed = 5, .step = 1},
    };
    random_normal(&key, base, COUNT);
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        random_normal(&others[k], other, COUNT);
        double sum = 0;
        for (int i = 0; i < COUNT; i++)
            sum += (double)base[i] * other[i];
        assert_true(fabs(sum / COUNT) < 5 / sqrt(COUNT));
    }
}

static void test_uniform(void **state)
{
    (void)state;
    float *x = malloc(SAMPLES * sizeof *x);
    assert_non_null(x);
    const struct random_key key = {.seed = 1, .stage = RANDOM_TRAINING};
    random_uniform(&key, -2, 6, x, SAMPLES);
    double sum = 0, squares = 0;
    for (int i = 0; i < SAMPLES; i++) {
        assert_true(x[i] >= -2 && x[i] < 6);
        sum += x[i] - 2;
        squares += (x[i] - 2.0) * (x[i] - 2.0);
    }
    const double variance = 8.0 * 8 / 12, fourth = 4.0 * 4 * 4 * 4 / 5;
    assert_true(fabs(sum / SAMPLES) < 5 * sqrt(variance / SAMPLES));
    assert_true(fabs(squares / SAMPLES - variance) <
                5 * sqrt((fourth - variance * variance) / SAMPLES));

    /* One float wide: rounding must not reach the upper bound. */
    random_uniform(&key, 1, nextafterf(1, 2), x, 4096);
    for (int i = 0; i < 4096; i++)
        assert_true(x[i] == 1);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),    cmocka_unit_test(test_counter_fields),
        cmocka_unit_test(test_prefixes),         cmocka_unit_test(test_normal_by_hand),
        cmocka_unit_test(test_normal_moments),   cmocka_unit_test(test_normal_distribution),
        cmocka_unit_test(test_keys_independent), cmocka_unit_test(test_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
