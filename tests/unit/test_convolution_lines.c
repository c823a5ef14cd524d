/* Convolutions that go by kernel lines, and pairs of convolutions, against the plain sum under
 * every instruction set; test_convolution.c has the transposed ones.
 *
 * Inputs and weights lie in [−1,1) and are exact in the type under test, so a sum of K products and
 * a bias, of a size up to K + 1, is off by less than (K + 2)·2⁻²³ of that in any order, whether
 * products are rounded on their own or not. */
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "tests/unit/kernel_check.h"
#include "tests/unit/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* Extents are those of the input; pads are before, behind; more: channels of the kernel beyond the
 * input's, half of them before. */
struct trial {
    int64_t n, d, h, w, c, out;
    int kernel[AXES], stride[AXES], pads[2];
    bool residual, mix, replicate;
    int parts, more;
};

static const struct trial trials[] = {
    {2, 3, 4, 9, 1, 64, {3, 3, 3}, {1, 1, 1}, {1, 1}, .replicate = true},
    {1, 2, 3, 75, 1, 20, {1, 3, 3}, {1, 1, 1}, {1, 1}, .parts = 1}, /* rows in two units */
    {1, 1, 4, 70, 1, 1, {3, 3, 3}, {1, 1, 1}, {1, 1}, .residual = true, .mix = true},
    {1, 2, 4, 21, 8, 200, {1, 3, 3}, {1, 1, 1}, {1, 1}, .parts = 1},
    {2, 1, 5, 24, 15, 30, {1, 1, 1}, {1, 1, 1}, {0, 0}, .parts = 3},
    {1, 1, 5, 24, 6, 17, {1, 1, 1}, {1, 1, 1}, {0, 0}, .residual = true, .more = 5},
    {1, 4, 7, 33, 3, 18, {2, 4, 4}, {2, 2, 2}, {1, 1}, .replicate = true},
    {1, 4, 5, 40, 4, 8, {3, 3, 3}, {1, 1, 1}, {0, 2}, .parts = 1},
    {2, 3, 4, 71, 4, 4, {3, 3, 3}, {1, 1, 1}, {1, 1}, .residual = true, .replicate = true},
    {1, 3, 3, 9, 5, 3, {1, 3, 3}, {1, 1, 1}, {1, 1}, .residual = true, .mix = true},
    {1, 1, 3, 40, 61, 1, {1, 3, 3}, {1, 1, 1}, {1, 1}, .parts = 1},
    {1, 2, 3, 20, 64, 4, {3, 3, 3}, {1, 1, 1}, {1, 1}, .parts = 1},
    {1, 1, 6, 35, 24, 2, {1, 2, 4}, {1, 2, 2}, {2, 1}, .parts = 1},
    {1, 1, 2, 8, 2, 3, {1, 1, 5}, {1, 1, 1}, {6, 6}, .parts = 1}, /* outputs that see only padding
                                                                   */
};

static struct weight weight_of(enum dtype dtype, int64_t out, int64_t in, const int kernel[AXES],
                               uint64_t seed)
{
    int64_t count = out * in * kernel[0] * kernel[1] * kernel[2];
    struct weight w = {kernel_values(dtype, count, seed, 0.0, 1.0),
                       dtype,
                       5,
                       {out, in, kernel[0], kernel[1], kernel[2]},
                       false};
    return w;
}

static struct weight bias_of(int64_t out, uint64_t seed)
{
    return kernel_weight(kernel_values(DTYPE_F32, out, seed, 0.0, 1.0), DTYPE_F32, 1, out, 1);
}

/* A pad along an axis only where the kernel has an extent. */
static struct convolution attributes(const struct trial *t)
{
    struct convolution c = {.padding = t->replicate ? PADDING_REPLICATE : PADDING_ZERO,
                            .residual = t->residual,
                            .mix = t->mix,
                            .parts = t->parts ? t->parts : 1,
                            .first_channel = t->more / 2};
    for (int a = 0; a < AXES; a++) {
        c.kernel[a] = t->kernel[a];
        c.stride[a] = t->stride[a];
        c.pad_front[a] = t->kernel[a] > 1 ? t->pads[0] : 0;
        c.pad_back[a] = t->kernel[a] > 1 ? t->pads[1] : 0;
    }
    return c;
}

static struct shape convolved(const struct convolution *c, struct shape in, int64_t channels)
{
    return (struct shape){in.n, convolution_extent(c, AXIS_D, in.d),
                          convolution_extent(c, AXIS_H, in.h), convolution_extent(c, AXIS_W, in.w),
                          channels};
}

static struct operation describe(const struct trial *t, enum dtype dtype)
{
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = t->residual ? 2 : 1};
    o.convolution = attributes(t);
    struct shape in = {t->n, t->d, t->h, t->w, t->c};
    o.input[0] = (struct tensor){in, dtype, CHANNELS_LAST};
    o.output = o.input[1] =
        (struct tensor){convolved(&o.convolution, in, t->out), dtype, CHANNELS_LAST};
    for (int part = 0; part < o.convolution.parts; part++) {
        int64_t out = t->out / o.convolution.parts;
        o.weight[o.weights++] =
            weight_of(dtype, out, t->c + t->more, t->kernel, 5 + (uint64_t)part);
        o.weight[o.weights++] = bias_of(out, 9);
    }
    if (t->mix)
        o.weight[o.weights++] =
            kernel_weight(kernel_values(DTYPE_F32, 1, 3, 0.3, 0.0), DTYPE_F32, 1, 1, 1);
    return o;
}

static void free_weights(const struct operation *o)
{
    for (int i = 0; i < o->weights; i++)
        free((void *)(uintptr_t)o->weight[i].data);
}

/* In a mix, alpha times a weight is rounded: to bf16 where products are of bf16. */
static double slack_of(const struct trial *t, enum dtype dtype)
{
    double terms = (double)(t->c * t->kernel[0] * t->kernel[1] * t->kernel[2]) + 2.0;
    double weight = t->mix && dtype == DTYPE_BF16 ? 0x1p-8 : 0.0;
    return terms * (terms * 0x1p-23 + weight);
}

static void check_values(enum dtype dtype)
{
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct operation o = describe(&trials[i], dtype);
        void *inputs[] = {kernel_values(dtype, shape_count(o.input[0].shape), 1, 0.0, 1.0),
                          kernel_values(dtype, shape_count(o.output.shape), 2, 0.0, 1.0)};
        assert_true(convolution_lines_suit(&o));
        kernel_check(&cpu_convolution, &o, (const void *const *)inputs, slack_of(&trials[i], dtype),
                     trials[i].kernel[AXIS_D] == 1);
        free_weights(&o);
        free(inputs[0]);
        free(inputs[1]);
    }
}

static void test_f32(void **state)
{
    (void)state;
    check_values(DTYPE_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    check_values(DTYPE_BF16);
}

/* The first convolution of a pair, and the second, whose input channels are between. */
static const struct trial pairs[][2] = {
    /* the 3-D encoder's, in batches of one slice and of several */
    {{1, 6, 256, 260, 1, 1, {3, 3, 3}, {1, 1, 1}, {1, 1}, .replicate = true},
     {.out = 1, .kernel = {4, 4, 4}, .stride = {2, 2, 2}, .pads = {1, 1}, .replicate = true}},
    {{2, 8, 12, 18, 1, 20, {3, 3, 3}, {1, 1, 1}, {1, 1}, .replicate = true},
     {.out = 24, .kernel = {4, 4, 4}, .stride = {2, 2, 2}, .pads = {1, 1}, .replicate = true}},
    /* slices that nobody sees; padding deeper than the kernel; 3×3×3 of many channels */
    {{1, 9, 144, 130, 2, 3, {1, 3, 3}, {1, 1, 1}, {1, 1}, .parts = 1},
     {.out = 2, .kernel = {2, 1, 1}, .stride = {5, 1, 1}, .pads = {4, 4}}},
    {{1, 5, 9, 20, 20, 32, {3, 3, 3}, {1, 1, 1}, {1, 1}, .parts = 1},
     {.out = 16, .kernel = {3, 3, 3}, .stride = {1, 1, 1}, .pads = {1, 1}}},
};

static struct operation describe_pair(const struct trial pair[2], enum dtype dtype)
{
    struct operation o = {.kind = OP_CONVOLUTION_PAIR, .inputs = 1, .weights = 4};
    struct shape shape = {pair->n, pair->d, pair->h, pair->w, pair->c};
    o.input[0] = o.output = (struct tensor){shape, dtype, CHANNELS_LAST};
    for (int i = 0; i < 2; i++) {
        o.pair[i] = attributes(&pair[i]);
        o.weight[2 * i] = weight_of(dtype, pair[i].out, shape.c, pair[i].kernel, 5 + (uint64_t)i);
        o.weight[2 * i + 1] = bias_of(pair[i].out, 9);
        shape = convolved(&o.pair[i], shape, pair[i].out);
    }
    o.output.shape = shape;
    return o;
}

/* The map between, off by `first` and once more rounded, goes into every product of the second. */
static double pair_slack(const struct trial pair[2], enum dtype dtype)
{
    double size =
        (double)(pair[0].c * pair[0].kernel[0] * pair[0].kernel[1] * pair[0].kernel[2]) + 1;
    double terms =
        (double)(pair[0].out * pair[1].kernel[0] * pair[1].kernel[1] * pair[1].kernel[2]) + 2;
    double first = slack_of(&pair[0], dtype) + size * (dtype == DTYPE_BF16 ? 0x1p-7 : 0x1p-23);
    return terms * first + terms * terms * size * 0x1p-23;
}

/* Bit for bit what the two convolutions make one after the other, as long as these do not go by
 * Winograd. */
static void check_against_two(const struct operation *o, const void *input)
{
    struct operation first = reference_half(o, 0), second = reference_half(o, 1);
    if (winograd_suits(&first) || winograd_suits(&second))
        return;
    void *between = kernel_run(&cpu_convolution, &first, &input);
    void *expected = kernel_run(&cpu_convolution, &second, (const void *const[]){between});
    void *got = kernel_run(&cpu_convolution_pair, o, &input);
    assert_memory_equal(got, expected, tensor_bytes(o->output));
    free(between);
    free(expected);
    free(got);
}

static void check_pairs(enum dtype dtype)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct operation o = describe_pair(pairs[i], dtype);
        void *input = kernel_values(dtype, shape_count(o.input[0].shape), 1, 0.0, 1.0);
        kernel_check(&cpu_convolution_pair, &o, (const void *const *)&input,
                     pair_slack(pairs[i], dtype), false);
        check_against_two(&o, input);
        free_weights(&o);
        free(input);
    }
}

static void test_pairs_f32(void **state)
{
    (void)state;
    check_pairs(DTYPE_F32);
}

static void test_pairs_bf16(void **state)
{
    (void)state;
    check_pairs(DTYPE_BF16);
}

/* The map between is no part of the workspace as a whole. */
static void test_pair_memory(void **state)
{
    (void)state;
    struct operation o = describe_pair(pairs[0], DTYPE_F32);
    struct needs needs;
    void *kernel_state;
    int place;
    assert_null(cpu_convolution_pair.create(&o, &kernel_state, &needs, &place));
    size_t whole = (size_t)tensor_bytes(reference_half(&o, 0).output);
    assert_in_range(needs.workspace, whole * 4 / 6, whole * 5 / 6);
    cpu_convolution_pair.destroy(kernel_state);
    free_weights(&o);
}

static void test_refusals(void **state)
{
    (void)state;
    struct operation o = describe_pair(pairs[1], DTYPE_F32);
    o.pair[1].residual = true;
    kernel_refuses(&cpu_convolution_pair, &o, "plain");
    o.pair[1].residual = false;
    o.output.shape.d++;
    kernel_refuses(&cpu_convolution_pair, &o, "extents");
    o.output.shape.d--;
    o.weight[2].shape[1]--;
    kernel_refuses(&cpu_convolution_pair, &o, "fewer channels");
    o.weight[2].shape[1]++;
    o.weight[0].shape[0] = INT64_MAX / 4;
    kernel_refuses(&cpu_convolution_pair, &o, "too large");
    free_weights(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),         cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_pairs_f32),   cmocka_unit_test(test_pairs_bf16),
        cmocka_unit_test(test_pair_memory), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
