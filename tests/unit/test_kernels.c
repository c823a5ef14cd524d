/* Every CPU operation but the convolution, over shapes, types and attributes.
 *
 * Slack beside the rounding of the result, u = 2^-24: inputs are of order 1, errors of single
 * roundings add up like random ones or, where stated, at worst. bf16 inputs are the same numbers to
 * kernel and reference, so they add nothing. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
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
static const enum dtype activations[] = {DTYPE_F32, DTYPE_BF16};

static struct tensor tensor(int64_t n, int64_t d, int64_t h, int64_t w, int64_t c, enum dtype dtype,
                            enum layout layout)
{
    return (struct tensor){{n, d, h, w, c}, dtype, layout};
}

static struct tensor map(struct shape shape, enum dtype dtype)
{
    return (struct tensor){shape, dtype, CHANNELS_LAST};
}

/* Fill the inputs with values of order `spread` around `offset`, check, free. */
static void check_random(const struct kernel *kernel, const struct operation *o, double offset,
                         double spread, double slack, bool slicewise)
{
    void *inputs[OPERATION_INPUTS] = {NULL};
    for (int i = 0; i < o->inputs; i++)
        inputs[i] = kernel_values(o->input[i].dtype, shape_count(o->input[i].shape),
                                  (uint64_t)i + 1, offset, spread);
    kernel_check(kernel, o, (const void *const *)inputs, slack, slicewise);
    for (int i = 0; i < o->inputs; i++)
        free(inputs[i]);
}

static void test_layout(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {1, 1, 1, 1, 1}, {2, 3, 5, 7, 4}, {3, 2, 8, 16, 1}, {1, 2, 9, 31, 67}, {3, 1, 96, 101, 4},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int type = 0; type < 2; type++) {
            struct operation to = {.kind = OP_TO_CHANNELS_LAST, .inputs = 1};
            to.input[0] = (struct tensor){shapes[i], DTYPE_F32, SLICE_MAJOR};
            to.output = map(shapes[i], activations[type]);
            check_random(&cpu_to_channels_last, &to, 0.0, 2.0, 0.0, true);

            /* A second and third input, of bytes, behind it. */
            to.inputs = 3;
            to.input[1] = to.input[2] = to.input[0];
            to.input[1].dtype = to.input[2].dtype = DTYPE_U8;
            to.input[2].shape.c = 2;
            to.output.shape.c = 2 * shapes[i].c + 2;
            check_random(&cpu_to_channels_last, &to, 128.0, 127.0, 0.0, true);

            struct operation back = {.kind = OP_TO_SLICE_MAJOR, .inputs = 1};
            back.input[0] = map(shapes[i], activations[type]);
            back.output = (struct tensor){shapes[i], DTYPE_F32, SLICE_MAJOR};
            check_random(&cpu_to_slice_major, &back, 0.0, 2.0, 0.0, true);
            back.to_slice_major.first_channel = shapes[i].c / 2;
            back.output.shape.c -= shapes[i].c / 2;
            check_random(&cpu_to_slice_major, &back, 0.0, 2.0, 0.0, true);
        }
}

static void test_cast(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_CAST, .inputs = 1};
        o.input[0] = tensor(3, 2, 17, 31, 33, activations[type], CHANNELS_LAST);
        o.output = o.input[0];
        o.output.dtype = activations[1 - type];
        check_random(&cpu_cast, &o, 0.0, 2.0, 0.0, true);
    }
}

struct norm_case {
    struct shape shape; /* of source 0 */
    int64_t second;     /* channels of source 1, 0: none */
    int groups;
    bool per_slice, silu;
    int64_t scale_shift; /* its n; 0: none */
    enum resampling resampling;
    bool depth;
    double offset, spread;
};

static const struct norm_case norms[] = {
    {{1, 4, 4, 4, 32}, 0, 32, false, true, 0, RESAMPLE_NONE, false, 0, 1},
    {{3, 2, 3, 5, 4}, 0, 4, false, true, 0, RESAMPLE_NONE, false, 0, 1},
    {{2, 1, 9, 7, 1}, 0, 1, true, false, 0, RESAMPLE_NONE, false, 2, 1},
    {{3, 3, 5, 5, 96}, 0, 32, true, true, 3, RESAMPLE_NONE, false, 0, 1},
    {{3, 3, 5, 5, 96}, 0, 32, false, true, 1, RESAMPLE_NONE, false, 0, 1},
    /* Groups of 5 straddle the sources 33 + 12; sources of 1 + 5 are packed. */
    {{2, 2, 6, 6, 33}, 12, 9, false, true, 2, RESAMPLE_NONE, false, 0, 1},
    {{2, 2, 7, 5, 1}, 5, 2, true, true, 0, RESAMPLE_NONE, false, 0, 1},
    {{1, 1, 1, 3, 6}, 3, 3, false, false, 0, RESAMPLE_NONE, false, 0, 1},
    /* A mean far away, in sets of many chunks and blocks. */
    {{2, 5, 31, 33, 24}, 0, 8, false, false, 0, RESAMPLE_NONE, false, 1000, 1},
    {{1, 2, 50, 50, 64}, 64, 32, true, true, 1, RESAMPLE_NONE, false, -300, 0.5},
    {{1, 64, 64, 64, 2}, 0, 1, false, true, 0, RESAMPLE_NONE, false, 10000, 1},
    {{2, 2, 3, 5, 20}, 0, 4, true, true, 2, RESAMPLE_UP, false, 0, 1},
    {{2, 2, 3, 5, 20}, 12, 4, false, true, 1, RESAMPLE_UP, true, 0, 1},
    {{2, 2, 4, 6, 40}, 0, 8, true, true, 2, RESAMPLE_DOWN, false, 0, 1},
    {{2, 2, 4, 6, 3}, 5, 4, false, true, 0, RESAMPLE_DOWN, true, 0, 1},
    {{1, 2, 16, 130, 96}, 32, 32, false, true, 1, RESAMPLE_DOWN, true, 0, 1},
    {{1, 2, 8, 65, 128}, 0, 32, false, true, 1, RESAMPLE_UP, true, 0, 1},
};

static void check_norm(const struct norm_case *norm, enum dtype dtype)
{
    /* bf16 numbers around a far mean are far apart: 1000, 1004, … */
    double far = fabs(norm->offset),
           spread = dtype == DTYPE_F32 ? norm->spread : fmax(norm->spread, far / 32.0);
    int64_t c = norm->shape.c + norm->second;
    struct operation o = {.kind = OP_GROUP_NORM, .inputs = 1, .weights = 2};
    o.group_norm = (struct group_norm){
        .groups = norm->groups,
        .sources = norm->second ? 2 : 1,
        .epsilon = 1e-5f,
        .scale_shift = norm->scale_shift > 0,
        .silu = norm->silu,
        .per_slice = norm->per_slice,
        .resampling = norm->resampling,
        .resample_depth = norm->depth,
    };
    o.input[0] = o.output = map(norm->shape, dtype);
    if (norm->second) {
        o.input[o.inputs] = map(norm->shape, dtype);
        o.input[o.inputs++].shape.c = norm->second;
    }
    void *inputs[OPERATION_INPUTS] = {NULL};
    for (int i = 0; i < o.inputs; i++)
        inputs[i] = kernel_values(dtype, shape_count(o.input[i].shape), (uint64_t)i + 7,
                                  norm->offset, spread);
    if (norm->scale_shift) {
        o.input[o.inputs] = tensor(norm->scale_shift, 1, 1, 1, 2 * c, DTYPE_F32, CHANNELS_LAST);
        inputs[o.inputs++] = kernel_values(DTYPE_F32, 2 * c * norm->scale_shift, 5, 0.0, 0.5);
    }
    struct shape *out = &o.output.shape;
    out->c = c;
    if (norm->resampling != RESAMPLE_NONE) {
        bool up = norm->resampling == RESAMPLE_UP;
        out->h = up ? 2 * out->h : out->h / 2;
        out->w = up ? 2 * out->w : out->w / 2;
        out->d = !norm->depth ? out->d : up ? 2 * out->d : out->d / 2;
    }
    void *gamma = kernel_values(DTYPE_F32, c, 3, 1.0, 0.5);
    void *beta = kernel_values(DTYPE_BF16, c, 4, 0.0, 1.0);
    o.weight[0] = kernel_weight(gamma, DTYPE_F32, 1, c, 1);
    o.weight[1] = kernel_weight(beta, DTYPE_BF16, 1, c, 1);
    /* y = a·x + b: b is rounded, and a and b are as large as the mean measured in deviations (here
     * spread/√3 and, in small groups, less), times weight and scale of at most 1.5 each. */
    double slack = 16.0 * u * (4.0 + far / spread);
    kernel_check(&cpu_group_norm, &o, (const void *const *)inputs, slack, norm->per_slice);
    for (int i = 0; i < o.inputs; i++)
        free(inputs[i]);
    free(gamma);
    free(beta);
}

static void test_group_norm(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        for (int type = 0; type < 2; type++)
            check_norm(&norms[i], activations[type]);
}

/* A constant map has variance 0: y is the bias, but for the rounding of b, which is as large as the
 * mean times the weight. */
static void test_group_norm_of_a_constant(void **state)
{
    (void)state;
    float values[512], weight[2] = {1.0f, 1.5f}, bias[2] = {0.25f, -3.0f};
    const void *input = values;
    for (int i = 0; i < 512; i++)
        values[i] = 123456.7f;
    struct operation o = {.kind = OP_GROUP_NORM, .inputs = 1, .weights = 2};
    o.group_norm = (struct group_norm){.groups = 1, .sources = 1, .epsilon = 1.0f};
    o.input[0] = o.output = tensor(1, 1, 16, 16, 2, DTYPE_F32, CHANNELS_LAST);
    o.weight[0] = kernel_weight(weight, DTYPE_F32, 1, 2, 1);
    o.weight[1] = kernel_weight(bias, DTYPE_F32, 1, 2, 1);
    float *got = kernel_run(&cpu_group_norm, &o, &input);
    for (int i = 0; i < 512; i++)
        assert_true(fabs((double)got[i] - bias[i % 2]) <= 2.0 * u * 123456.7 * 1.5);
    free(got);
}

static void test_resample(void **state)
{
    (void)state;
    static const struct shape small[] = {{1, 1, 1, 1, 1}, {3, 2, 3, 5, 7}, {2, 3, 6, 40, 130}};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        for (int variant = 0; variant < 16; variant++) {
            bool up = variant & 1, depth = variant & 2, gradient = variant & 8;
            struct tensor from = map(small[i], activations[variant / 4 % 2]), to = from;
            to.shape.h *= 2;
            to.shape.w *= 2;
            to.shape.d *= depth ? 2 : 1;
            struct operation o = {.kind = OP_RESAMPLE, .inputs = 1};
            o.resample = (struct resample){up ? RESAMPLE_UP : RESAMPLE_DOWN, depth, gradient};
            o.input[0] = up ? from : to;
            o.output = up ? to : from;
            /* Copies are exact; a mean of 8 numbers below 1 adds up 7 roundings below 8u. */
            double slack = up ? 0.0 : gradient ? 56.0 * u : 7.0 * u;
            check_random(&cpu_resample, &o, 0.0, 1.0, slack, !depth);
        }
}

struct attention_case {
    int64_t n, d, h, w;
    int heads;
    int64_t width;
    bool per_slice;
    float scale;
};

static const struct attention_case attentions[] = {
    {1, 1, 1, 1, 1, 1, false, 1.0f},        {3, 1, 4, 4, 4, 4, false, 0.5f},
    {3, 2, 4, 4, 8, 4, true, 0.5f},         {2, 3, 3, 5, 2, 17, false, 0.25f},
    {1, 5, 7, 11, 3, 24, false, 0.2f},      {2, 2, 13, 21, 2, 48, true, 0.144f},
    {1, 1, 16, 16, 2, 96, true, 0.1f},      {1, 8, 8, 9, 1, 64, false, 3.0f},
    {1, 1, 11, 24, 1, 512, false, 0.0442f},
};

static void test_attention(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attentions / sizeof *attentions; i++)
        for (int types = 0; types < 4; types++) {
            const struct attention_case *a = &attentions[i];
            int64_t c = a->heads * a->width;
            struct operation o = {.kind = OP_ATTENTION, .inputs = 1};
            o.attention = (struct attention){a->heads, a->scale, a->per_slice};
            o.input[0] =
                tensor(a->n, a->d, a->h, a->w, 3 * c, activations[types % 2], CHANNELS_LAST);
            o.output = tensor(a->n, a->d, a->h, a->w, c, activations[types / 2], CHANNELS_LAST);
            /* `width` random products below scale add up to scale·√width and round as often; an
             * error of a score moves weights by as much, and the result by up to twice that. Sums
             * over tokens stay below 1. Weights of bf16 maps may be rounded to bf16: the result is
             * still a mean of values below 1, with weights off by 2⁻⁹ of themselves. */
            double width = (double)a->width, tokens = (double)(a->d * a->h * a->w);
            double slack = u * (16.0 + 2.0 * width * a->scale + sqrt(tokens));
            if (o.input[0].dtype == DTYPE_BF16)
                slack += 0x1p-8;
            check_random(&cpu_attention, &o, 0.0, 1.0, slack, a->per_slice);
        }
}

static void test_linear(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 4, 7}, {2, 130, 65}, {3, 1030, 48}};
    static const enum dtype weights[] = {DTYPE_F32, DTYPE_BF16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int variant = 0; variant < 8; variant++) {
            int64_t n = sizes[i][0], in = sizes[i][1], out = sizes[i][2];
            enum dtype dtype = weights[variant & 1];
            void *w = kernel_values(dtype, in * out, 11, 0.0, 1.0);
            void *b = kernel_values(dtype, out, 12, 0.0, 1.0);
            struct operation o = {.kind = OP_LINEAR, .inputs = 1, .weights = 2};
            o.linear.silu_input = variant & 2;
            o.input[0] = tensor(n, 1, 1, 1, in, DTYPE_F32, CHANNELS_LAST);
            o.output = tensor(n, 1, 1, 1, out, DTYPE_F32, CHANNELS_LAST);
            o.weight[0] = kernel_weight(w, dtype, variant & 4 ? 3 : 2, out, in);
            o.weight[1] = kernel_weight(b, dtype, variant & 4 ? 0 : 1, out, 1);
            /* `in` random products add up to √in; 16 or more chains of them round in/16 times. */
            double slack = u * sqrt((double)in) * (sqrt((double)in / 16.0) + 4.0);
            check_random(&cpu_linear, &o, 0.0, 1.0, slack, false);
            free(w);
            free(b);
        }
}

static void test_timestep_embedding(void **state)
{
    (void)state;
    float timesteps[] = {0.0f, 1.0f, 999.0f, 250.5f};
    const void *input = timesteps;
    for (int64_t c = 2; c < 200; c += 31) {
        struct operation o = {.kind = OP_TIMESTEP_EMBEDDING, .inputs = 1};
        o.input[0] = tensor(4, 1, 1, 1, 1, DTYPE_F32, CHANNELS_LAST);
        o.output = tensor(4, 1, 1, 1, c, DTYPE_F32, CHANNELS_LAST);
        /* Exponent (below 9.3), frequency and angle are rounded: at worst (2·x·e^−x + 2)·u·t. */
        kernel_check(&cpu_timestep_embedding, &o, &input, 3.0 * u * 999.0, false);
    }
}

/* Random codes are never so close to equally far that rounding decides, so results are exact. */
static void test_quantize(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 4}, {31, 4}, {1000, 4}, {16384, 4}, {70, 3}, {33, 9}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t codes = sizes[i][0], c = sizes[i][1];
        void *book = kernel_values(DTYPE_F32, codes * c, 21, 0.0, 1.0);
        struct operation o = {.kind = OP_QUANTIZE, .inputs = 1, .weights = 1};
        o.input[0] = o.output = tensor(2, 2, 3, 5, c, DTYPE_F32, CHANNELS_LAST);
        o.weight[0] = kernel_weight(book, DTYPE_F32, 2, codes, c);
        check_random(&cpu_quantize, &o, 0.0, 1.0, 0.0, true);
        free(book);
    }
}

/* Of equally near codes the first wins: neighbours, whose last channels mirror each other around
 * the pixels' 0, and mirrored codes 96 further, which share a lane of any vector. */
static void test_quantize_ties(void **state)
{
    (void)state;
    enum { CODES = 300, PIXELS = 64 };
    float book[CODES][2], pixels[PIXELS][2];
    const void *input = pixels;
    for (int i = 0; i < CODES; i++) {
        book[i][0] = (float)(i / 2 % 48);
        book[i][1] = (i + i / 96) % 2 ? -1.0f : 1.0f;
    }
    for (int i = 0; i < PIXELS; i++) {
        pixels[i][0] = (float)(i % 48) + 0.25f;
        pixels[i][1] = 0.0f;
    }
    struct operation o = {.kind = OP_QUANTIZE, .inputs = 1, .weights = 1};
    o.input[0] = o.output = tensor(1, 1, 8, 8, 2, DTYPE_F32, CHANNELS_LAST);
    o.weight[0] = kernel_weight(book, DTYPE_F32, 2, CODES, 2);
    for (int set = 0; kernel_sets[set]; set++) {
        if (simd_select(kernel_sets[set]))
            continue;
        float(*got)[2] = kernel_run(&cpu_quantize, &o, &input);
        for (int i = 0; i < PIXELS; i++) {
            assert_true(got[i][0] == (float)(i % 48));
            assert_true(got[i][1] == 1.0f);
        }
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),     cmocka_unit_test(test_cast),
        cmocka_unit_test(test_group_norm), cmocka_unit_test(test_group_norm_of_a_constant),
        cmocka_unit_test(test_resample),   cmocka_unit_test(test_attention),
        cmocka_unit_test(test_linear),     cmocka_unit_test(test_timestep_embedding),
        cmocka_unit_test(test_quantize),   cmocka_unit_test(test_quantize_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
