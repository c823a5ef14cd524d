/* OP_CONVOLUTION on the CPU against a plain double reference, and the promise that bits depend on
 * neither threads nor batch; test_winograd.c has the convolutions that Winograd takes.
 *
 * Tolerances: a sum of K products of rounded inputs is off by about √K·2⁻²⁴ of its terms' size in
 * f32, never more than K·2⁻²⁴ of their absolute sum; bf16 outputs add half a unit of their own,
 * 2⁻⁸. Inputs and weights are exact in the type under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/winograd.h"
#include "tests/unit/device.h"
#include "tests/unit/kernel_check.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trial {
    const char *name;
    int64_t n, d, h, w, c, out;
    int kernel[AXES], stride[AXES], front[AXES], back[AXES], crop[AXES];
    enum padding padding;
    bool transposed, residual, mix;
    int parts, more; /* more: channels of the kernel beyond the input's, half of them before */
    bool no_bias;
};

static const struct trial trials[] = {
    {"2-D 3x3", 2, 3, 9, 7, 12, 40, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}, .parts = 1},
    {"2-D 3x3 residual",
     3,
     1,
     5,
     6,
     64,
     64,
     {1, 3, 3},
     {1, 1, 1},
     {0, 1, 1},
     {0, 1, 1},
     .residual = true,
     .parts = 1},
    {"2-D 3x3 one channel in",
     1,
     2,
     17,
     16,
     1,
     32,
     {1, 3, 3},
     {1, 1, 1},
     {0, 1, 1},
     {0, 1, 1},
     .parts = 1},
    {"2-D 3x3 one channel out",
     1,
     2,
     16,
     17,
     12,
     1,
     {1, 3, 3},
     {1, 1, 1},
     {0, 1, 1},
     {0, 1, 1},
     .parts = 1},
    {"2-D 3x3 stride 2, padded behind",
     2,
     1,
     16,
     12,
     32,
     48,
     {1, 3, 3},
     {1, 2, 2},
     {0, 0, 0},
     {0, 1, 1},
     .parts = 1},
    {"1x1", 2, 3, 5, 6, 20, 12, {1, 1, 1}, {1, 1, 1}, .parts = 1},
    {"1x1 stacked", 1, 1, 8, 8, 32, 96, {1, 1, 1}, {1, 1, 1}, .parts = 3},
    {"1x1 slice of the kernel",
     2,
     1,
     8,
     8,
     32,
     16,
     {1, 1, 1},
     {1, 1, 1},
     .residual = true,
     .parts = 1,
     .more = 24,
     .no_bias = true},
    {"3-D 3x3x3", 2, 5, 6, 7, 12, 24, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, .parts = 1},
    {"3-D 3x3x3 mix",
     1,
     5,
     6,
     8,
     12,
     32,
     {3, 3, 3},
     {1, 1, 1},
     {1, 1, 1},
     {1, 1, 1},
     .residual = true,
     .mix = true,
     .parts = 1},
    {"3-D 3x3x3 replicate",
     2,
     6,
     5,
     7,
     8,
     12,
     {3, 3, 3},
     {1, 1, 1},
     {1, 1, 1},
     {1, 1, 1},
     .padding = PADDING_REPLICATE,
     .residual = true,
     .parts = 1},
    {"3-D 4x4x4 stride 2 replicate",
     2,
     8,
     6,
     10,
     5,
     16,
     {4, 4, 4},
     {2, 2, 2},
     {1, 1, 1},
     {1, 1, 1},
     .padding = PADDING_REPLICATE,
     .parts = 1},
    {"3-D 4x4x4 stride 2,1,1 replicate",
     1,
     8,
     6,
     5,
     6,
     8,
     {4, 4, 4},
     {2, 1, 1},
     {1, 2, 2},
     {1, 1, 1},
     .padding = PADDING_REPLICATE,
     .parts = 1},
    {"3-D transposed 4x4x4",
     2,
     5,
     6,
     7,
     4,
     4,
     {4, 4, 4},
     {2, 1, 1},
     {1, 2, 2},
     {1, 1, 1},
     {3, 3, 3},
     PADDING_REPLICATE,
     .transposed = true,
     .parts = 1},
    {"3-D transposed 3x3x3 stride 2",
     1,
     4,
     5,
     5,
     3,
     6,
     {3, 3, 3},
     {2, 1, 1},
     {1, 1, 1},
     {1, 1, 1},
     {2, 2, 2},
     PADDING_REPLICATE,
     .transposed = true,
     .parts = 1},
    {"3-D transposed 4x4x4 in two runs of a row",
     1,
     3,
     5,
     69,
     4,
     3,
     {4, 4, 4},
     {2, 1, 1},
     {1, 2, 2},
     {1, 1, 1},
     {3, 3, 3},
     PADDING_REPLICATE,
     .transposed = true,
     .residual = true,
     .parts = 1},
    {"2-D transposed 3x3 stride 2 along h, to many channels",
     2,
     1,
     7,
     11,
     5,
     36,
     {1, 3, 3},
     {1, 2, 1},
     {0, 1, 1},
     {0, 1, 1},
     {0, 2, 2},
     PADDING_ZERO,
     .transposed = true,
     .parts = 1},
    {"3-D replicate in several slabs",
     1,
     48,
     112,
     112,
     15,
     4,
     {3, 3, 3},
     {1, 1, 1},
     {1, 1, 1},
     {1, 1, 1},
     .padding = PADDING_REPLICATE,
     .parts = 1},
};

/* Everything a trial reads and writes, all of it in f32 beside what the kernel gets. */
struct data {
    struct operation operation;
    float *input, *residual, *weights[OPERATION_WEIGHTS];
    void *typed[2];
    int64_t in_count, out_count;
    double *reference, *absolute; /* the sums, and the sums of absolute terms */
};

static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 23) - 1.0f;
}

/* count numbers that the type holds exactly. */
static float *numbers(int64_t count, enum dtype dtype, uint32_t seed)
{
    float *x = malloc((size_t)count * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) {
        uint16_t rounded;
        x[i] = noise(&seed);
        if (dtype == DTYPE_BF16) {
            f32_to_bf16(&x[i], &rounded, 1);
            bf16_to_f32(&rounded, &x[i], 1);
        }
    }
    return x;
}

static void *as_type(const float *x, int64_t count, enum dtype dtype)
{
    void *y = malloc((size_t)count * sizeof *x);
    assert_non_null(y);
    if (dtype == DTYPE_BF16)
        f32_to_bf16(x, y, count);
    else
        memcpy(y, x, (size_t)count * sizeof *x);
    return y;
}

static int64_t out_extent(const struct trial *t, int axis, int64_t extent)
{
    int64_t padded = extent + t->front[axis] + t->back[axis];
    if (t->transposed)
        return (padded - 1) * t->stride[axis] - 2 * t->crop[axis] + t->kernel[axis];
    return (padded - t->kernel[axis]) / t->stride[axis] + 1;
}

static void add_weight(struct data *x, enum dtype dtype, int rank, const int64_t *shape)
{
    struct operation *o = &x->operation;
    int64_t count = 1;
    struct weight *w = &o->weight[o->weights];
    *w = (struct weight){.dtype = DTYPE_F32, .rank = rank};
    for (int i = 0; i < rank; i++)
        count *= w->shape[i] = shape[i];
    x->weights[o->weights] = numbers(count, dtype, 77u + (uint32_t)o->weights);
    w->data = x->weights[o->weights++];
}

static void make_weights(struct data *x, const struct trial *t, enum dtype dtype)
{
    int64_t in = t->c + t->more, out = t->out / t->parts;
    int64_t shape[5] = {t->transposed ? in : out, t->transposed ? out : in, t->kernel[0],
                        t->kernel[1], t->kernel[2]};
    for (int part = 0; part < t->parts; part++) {
        add_weight(x, dtype, 5, shape);
        add_weight(x, DTYPE_F32, 1, &out);
        if (t->no_bias)
            x->operation.weight[x->operation.weights - 1].rank = 0;
    }
    if (t->mix)
        add_weight(x, DTYPE_F32, 1, (const int64_t[]){1});
}

static void setup(struct data *x, const struct trial *t, enum dtype dtype)
{
    *x = (struct data){.operation = {.kind = OP_CONVOLUTION, .inputs = t->residual ? 2 : 1}};
    struct operation *o = &x->operation;
    struct shape in = {t->n, t->d, t->h, t->w, t->c};
    struct shape out = {t->n, out_extent(t, AXIS_D, t->d), out_extent(t, AXIS_H, t->h),
                        out_extent(t, AXIS_W, t->w), t->out};
    o->input[0] = (struct tensor){in, dtype, CHANNELS_LAST};
    o->output = o->input[1] = (struct tensor){out, dtype, CHANNELS_LAST};
    struct convolution *c = &o->convolution;
    memcpy(c->kernel, t->kernel, sizeof c->kernel);
    memcpy(c->stride, t->stride, sizeof c->stride);
    memcpy(c->pad_front, t->front, sizeof c->pad_front);
    memcpy(c->pad_back, t->back, sizeof c->pad_back);
    memcpy(c->crop, t->crop, sizeof c->crop);
    c->padding = t->padding;
    c->transposed = t->transposed;
    c->residual = t->residual;
    c->mix = t->mix;
    c->parts = t->parts;
    c->first_channel = t->more / 2;
    make_weights(x, t, dtype);
    x->in_count = shape_count(in);
    x->out_count = shape_count(out);
    x->input = numbers(x->in_count, dtype, 1);
    x->residual = numbers(x->out_count, dtype, 2);
    x->typed[0] = as_type(x->input, x->in_count, dtype);
    x->typed[1] = as_type(x->residual, x->out_count, dtype);
}

static void teardown(struct data *x)
{
    for (int i = 0; i < x->operation.weights; i++)
        free(x->weights[i]);
    free(x->input);
    free(x->residual);
    free(x->typed[0]);
    free(x->typed[1]);
    free(x->reference);
    free(x->absolute);
}

/* Input at padded position i of an axis: its index, or −1 for a zero. */
static int64_t source(const struct trial *t, int axis, int64_t i, int64_t extent)
{
    i -= t->front[axis];
    if (t->padding == PADDING_REPLICATE)
        return i < 0 ? 0 : i >= extent ? extent - 1 : i;
    return i < 0 || i >= extent ? -1 : i;
}

/* The padded position that tap k contributes to output o of an axis, −1 where it does not. */
static int64_t position(const struct trial *t, int axis, int64_t o, int k, int64_t extent)
{
    if (!t->transposed)
        return o * t->stride[axis] + k;
    int64_t at = o + t->crop[axis] - k;
    int64_t padded = extent + t->front[axis] + t->back[axis];
    return at % t->stride[axis] || at < 0 || at / t->stride[axis] >= padded ? -1
                                                                            : at / t->stride[axis];
}

/* One output: Σ weight·input, and Σ |weight·input|. */
static void one_output(struct data *x, const struct trial *t, const int64_t at[5])
{
    const struct operation *op = &x->operation;
    int64_t extent[AXES] = {t->d, t->h, t->w}, out = t->out / t->parts;
    int64_t part = at[4] / out, channel = at[4] % out, all = t->c + t->more;
    const float *kernel = x->weights[2 * part];
    double sum = 0, absolute = 0;
    for (int kd = 0; kd < t->kernel[0]; kd++)
        for (int kh = 0; kh < t->kernel[1]; kh++)
            for (int kw = 0; kw < t->kernel[2]; kw++) {
                int64_t i[AXES], k[AXES] = {kd, kh, kw};
                bool inside = true;
                for (int a = 0; a < AXES; a++) {
                    i[a] = position(t, a, at[1 + a], (int)k[a], extent[a]);
                    i[a] = i[a] < 0 ? -1 : source(t, a, i[a], extent[a]);
                    inside &= i[a] >= 0;
                }
                for (int64_t c = 0; inside && c < t->c; c++) {
                    int64_t wc = c + t->more / 2;
                    int64_t w = t->transposed ? wc * out + channel : channel * all + wc;
                    w = ((w * t->kernel[0] + kd) * t->kernel[1] + kh) * t->kernel[2] + kw;
                    int64_t p = (((at[0] * t->d + i[0]) * t->h + i[1]) * t->w + i[2]) * t->c + c;
                    sum += (double)kernel[w] * x->input[p];
                    absolute += fabs((double)kernel[w] * x->input[p]);
                }
            }
    struct shape s = op->output.shape;
    int64_t to = (((at[0] * s.d + at[1]) * s.h + at[2]) * s.w + at[3]) * s.c + at[4];
    double bias = t->no_bias ? 0 : x->weights[2 * part + 1][channel];
    double alpha = t->mix ? 1 / (1 + exp(-(double)x->weights[2][0])) : 1;
    double rest = t->residual ? (t->mix ? 1 - alpha : 1) * x->residual[to] : 0;
    x->reference[to] = alpha * (sum + bias) + rest;
    x->absolute[to] = alpha * (absolute + fabs(bias)) + fabs(rest);
}

static void make_reference(struct data *x, const struct trial *t)
{
    struct shape s = x->operation.output.shape;
    x->reference = malloc((size_t)x->out_count * sizeof(double));
    x->absolute = malloc((size_t)x->out_count * sizeof(double));
    for (int64_t n = 0; n < s.n; n++)
        for (int64_t d = 0; d < s.d; d++)
            for (int64_t h = 0; h < s.h; h++)
                for (int64_t w = 0; w < s.w; w++)
                    for (int64_t c = 0; c < s.c; c++)
                        one_output(x, t, (const int64_t[]){n, d, h, w, c});
}

/* Run with `threads` threads on sample `first` … of the input; returns the typed output, NULL where
 * the kernel does not work in place. */
static void *run(struct data *x, int threads, int64_t first, int64_t samples, bool in_place)
{
    struct operation o = x->operation;
    int64_t in = tensor_bytes(o.input[0]) / o.input[0].shape.n;
    int64_t out = tensor_bytes(o.output) / o.output.shape.n;
    o.input[0].shape.n = o.input[1].shape.n = o.output.shape.n = samples;
    const void *inputs[] = {(const char *)x->typed[0] + in * first,
                            (const char *)x->typed[1] + out * first};
    return kernel_run_threads(&cpu_convolution, &o, inputs, threads, threads, in_place);
}

static void compare(const struct data *x, const struct trial *t, const void *output,
                    enum dtype dtype)
{
    double products = (double)t->c * t->kernel[0] * t->kernel[1] * t->kernel[2] + 2;
    for (int64_t i = 0; i < x->out_count; i++) {
        float y;
        const float *f = output;
        const uint16_t *b = output;
        if (dtype == DTYPE_BF16)
            bf16_to_f32(b + i, &y, 1);
        else
            y = f[i];
        /* alpha times a weight is rounded too: one more unit of the weight's type. */
        double unit = dtype == DTYPE_BF16 ? ldexp(1, -8) : ldexp(1, -24);
        /* cuDNN takes the bias, below 1, in bf16 too. */
        double bias = dtype == DTYPE_BF16 && !test_backend_is_cpu() ? ldexp(1, -9) : 0;
        double bound = products * ldexp(1, -24) * x->absolute[i] +
                       unit * (fabs(x->reference[i]) + (t->mix ? x->absolute[i] : 0)) + bias;
        if (!(fabs(y - x->reference[i]) <= bound))
            fail_msg("%s: output %lld is %g, not %g (off by %g, bound %g)", t->name, (long long)i,
                     (double)y, x->reference[i], fabs(y - x->reference[i]), bound);
    }
}

static const char *const sets[] = {"avx2", "portable", "avx512", NULL};

static void try(const struct trial *t, enum dtype dtype)
{
    struct data x;
    const char *widest = simd()->name;
    setup(&x, t, dtype);
    make_reference(&x, t);
    assert_false(winograd_suits(&x.operation));
    size_t bytes = (size_t)tensor_bytes(x.operation.output), sample = bytes / (size_t)t->n;
    for (int set = 0; sets[set]; set++) {
        if (simd_select(sets[set]))
            continue;
        char *other = run(&x, 2, 0, t->n, false);
        compare(&x, t, other, dtype);
        free(other);
    }
    assert_int_equal(simd_select(widest), 0);
    char *output = run(&x, 2, 0, t->n, false);
    for (int threads = 1; threads <= 3; threads++) {
        char *other = run(&x, threads, 0, t->n, t->residual);
        if (test_backend_is_cpu() || !t->residual)
            assert_non_null(other);
        if (other)
            assert_memory_equal(output, other, bytes);
        free(other);
    }
    for (int64_t i = 0; i < t->n; i++) {
        char *other = run(&x, 2, i, 1, false);
        assert_memory_equal(output + (size_t)i * sample, other, sample);
        free(other);
    }
    free(output);
    teardown(&x);
}

static void test_fp32(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        try(&trials[i], DTYPE_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    if (!test_backend()->multiplies_bf16())
        skip();
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        try(&trials[i], DTYPE_BF16);
}

/* Weights of 16 bits give what the same numbers in f32 give. */
static void try_half_weights(const struct trial *t)
{
    struct data x;
    setup(&x, t, DTYPE_BF16);
    int64_t count = t->out * t->c * t->kernel[0] * t->kernel[1] * t->kernel[2];
    uint16_t *half = malloc((size_t)count * sizeof *half);
    x.operation.input[0].dtype = x.operation.output.dtype = DTYPE_F32;
    memcpy(x.typed[0] = realloc(x.typed[0], (size_t)x.in_count * sizeof(float)), x.input,
           (size_t)x.in_count * sizeof(float));
    void *wide = run(&x, 1, 0, t->n, false);
    f32_to_bf16(x.weights[0], half, count);
    x.operation.weight[0].data = half;
    x.operation.weight[0].dtype = DTYPE_BF16;
    void *narrow = run(&x, 1, 0, t->n, false);
    assert_memory_equal(wide, narrow, (size_t)tensor_bytes(x.operation.output));
    free(wide);
    free(narrow);
    free(half);
    teardown(&x);
}

static void test_half_weights(void **state)
{
    (void)state;
    try_half_weights(&trials[8]);
    try_half_weights(&trials[13]); /* transposed */
}

static void refused(struct operation o, const char *part_of_reason)
{
    struct needs needs;
    void *state;
    int place;
    const char *why = test_backend()->kernel[OP_CONVOLUTION]->create(&o, &state, &needs, &place);
    assert_non_null(why);
    assert_non_null(strstr(why, part_of_reason));
}

static void test_refusals(void **state)
{
    (void)state;
    struct data x;
    setup(&x, &trials[13], DTYPE_F32);
    struct operation o = x.operation;
    o.convolution.crop[AXIS_H] = 1;
    refused(o, "crop");
    o = x.operation;
    o.convolution.stride[AXIS_W] = 2;
    refused(o, "extents");
    o = x.operation;
    o.output.shape.c = 5;
    refused(o, "channels");
    o = x.operation;
    o.input[0].shape.c = 9;
    refused(o, "fewer channels");
    teardown(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_half_weights),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
