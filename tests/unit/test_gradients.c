/* The gradients of every operation, against differences of the references.
 *
 * Tolerances, relative to the largest gradient of a tensor, u = 2^-24: gradients are sums of
 * products of order 1 which round as often as they have terms; errors add up like random ones. The
 * differences themselves are off by 1e-9 or less where fifth derivatives are of order 1 to 10. */
#include "kernels/cpu/cpu.h"
#include "tests/unit/gradient_check.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

static const double u = 0x1p-24;
static const enum dtype activations[] = {DTYPE_F32, DTYPE_BF16};
static const struct tensor scalar = {{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};

static struct tensor map(struct shape shape, enum dtype dtype)
{
    return (struct tensor){shape, dtype, CHANNELS_LAST};
}

/* Random inputs around `offset`, and weights for those of the operation that have a shape. */
static void check(struct operation *o, unsigned wanted, float offset, double tolerance)
{
    float *inputs[OPERATION_INPUTS] = {NULL}, *weights[OPERATION_WEIGHTS] = {NULL};
    for (int i = 0; i < o->inputs; i++)
        inputs[i] = gradient_values(shape_count(o->input[i].shape), (uint64_t)i + 1,
                                    o->input[i].shape.h > 1 ? offset : 0.0f);
    for (int i = 0; i < o->weights; i++) {
        int64_t count = o->weight[i].rank ? 1 : 0;
        for (int k = 0; k < o->weight[i].rank; k++)
            count *= o->weight[i].shape[k];
        weights[i] = gradient_values(count, (uint64_t)i + 11, i ? 0.0f : 1.0f);
        o->weight[i].data = weights[i];
    }
    gradient_check(o, (const float *const *)inputs, wanted, tolerance);
    for (int i = 0; i < OPERATION_INPUTS; i++)
        free(inputs[i]);
    for (int i = 0; i < OPERATION_WEIGHTS; i++)
        free(weights[i]);
}

struct norm_case {
    struct shape shape; /* of source 0 */
    int64_t second;     /* channels of source 1, 0: none */
    int groups;
    bool per_slice, per_batch, silu;
    int64_t scale_shift; /* its n; 0: none */
    enum resampling resampling;
    bool depth;
    float offset;
};

static const struct norm_case norms[] = {
    {{1, 2, 4, 3, 4}, 0, 2, false, false, true, 0, RESAMPLE_NONE, false, 0},
    {{2, 2, 3, 5, 6}, 0, 3, true, false, false, 0, RESAMPLE_NONE, false, 0},
    {{2, 2, 3, 5, 6}, 0, 3, true, false, true, 2, RESAMPLE_NONE, false, 0},
    {{2, 2, 3, 3, 6}, 0, 2, false, false, true, 1, RESAMPLE_NONE, false, 0},
    /* A group that straddles the sources 5 + 4. */
    {{2, 1, 3, 4, 5}, 4, 3, true, false, true, 2, RESAMPLE_NONE, false, 0},
    {{1, 2, 3, 4, 1}, 3, 2, false, false, true, 0, RESAMPLE_NONE, false, 0},
    {{3, 1, 4, 4, 3}, 0, 3, false, true, false, 0, RESAMPLE_NONE, false, 0},
    {{1, 2, 3, 4, 20}, 0, 4, false, false, true, 0, RESAMPLE_NONE, false, 1},
    {{1, 2, 2, 3, 4}, 0, 2, false, false, true, 1, RESAMPLE_UP, true, 0},
    {{2, 1, 2, 3, 4}, 2, 2, true, false, true, 2, RESAMPLE_UP, false, 0},
    {{1, 2, 4, 2, 4}, 0, 2, false, false, true, 1, RESAMPLE_DOWN, true, 0},
    {{2, 1, 4, 2, 6}, 0, 2, true, false, true, 0, RESAMPLE_DOWN, false, 0},
};

static void check_norm(const struct norm_case *norm, enum dtype dtype)
{
    int64_t c = norm->shape.c + norm->second;
    struct operation o = {.kind = OP_GROUP_NORM, .inputs = 1, .weights = 2};
    o.group_norm = (struct group_norm){
        .groups = norm->groups,
        .sources = norm->second ? 2 : 1,
        .epsilon = 1e-5f,
        .scale_shift = norm->scale_shift > 0,
        .silu = norm->silu,
        .per_slice = norm->per_slice,
        .per_batch = norm->per_batch,
        .resampling = norm->resampling,
        .resample_depth = norm->depth,
    };
    o.input[0] = o.output = map(norm->shape, dtype);
    if (norm->second) {
        o.input[o.inputs] = map(norm->shape, dtype);
        o.input[o.inputs++].shape.c = norm->second;
    }
    if (norm->scale_shift)
        o.input[o.inputs++] = map((struct shape){norm->scale_shift, 1, 1, 1, 2 * c}, DTYPE_F32);
    struct shape *out = &o.output.shape;
    out->c = c;
    if (norm->resampling != RESAMPLE_NONE) {
        bool up = norm->resampling == RESAMPLE_UP;
        out->h = up ? 2 * out->h : out->h / 2;
        out->w = up ? 2 * out->w : out->w / 2;
        out->d = !norm->depth ? out->d : up ? 2 * out->d : out->d / 2;
    }
    o.weight[0] = o.weight[1] = kernel_weight(NULL, DTYPE_F32, 1, c, 1);
    /* Three terms, each with sums over at most 200 values, of order 2 with offset 1. */
    check(&o, 7 | GRADIENT_WEIGHTS, norm->offset, 64.0 * u);
}

static void test_group_norm(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        for (int type = 0; type < 2; type++)
            check_norm(&norms[i], activations[type]);
}

static void test_resample(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        bool up = variant & 1, depth = variant & 2;
        struct tensor small = map((struct shape){2, 2, 3, 5, 3}, activations[variant / 4]);
        struct tensor large = small;
        large.shape.h *= 2;
        large.shape.w *= 2;
        large.shape.d *= depth ? 2 : 1;
        struct operation o = {.kind = OP_RESAMPLE, .inputs = 1};
        o.resample = (struct resample){up ? RESAMPLE_UP : RESAMPLE_DOWN, depth, false};
        o.input[0] = up ? small : large;
        o.output = up ? large : small;
        check(&o, 1, 0, 8.0 * u);
    }
}

static void test_attention(void **state)
{
    (void)state;
    static const struct {
        struct shape shape;
        int heads;
        bool per_slice;
        float scale;
    } cases[] = {
        {{1, 1, 2, 3, 2}, 1, false, 0.7f},  {{2, 2, 2, 2, 6}, 2, true, 0.5f},
        {{2, 2, 3, 2, 4}, 2, false, 0.5f},  {{1, 1, 1, 1, 3}, 1, false, 1.0f},
        {{1, 1, 10, 9, 1}, 1, false, 1.0f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int type = 0; type < 2; type++) {
            struct operation o = {.kind = OP_ATTENTION, .inputs = 1};
            o.attention = (struct attention){cases[i].heads, cases[i].scale, cases[i].per_slice};
            o.input[0] = o.output = map(cases[i].shape, activations[type]);
            o.input[0].shape.c *= 3;
            /* Two chained products and an exponential; sums of up to 90 terms. */
            check(&o, 1, 0, 32.0 * u);
        }
}

/* More tokens than blocks of rows and columns hold. */
static void test_attention_blocks(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_ATTENTION, .inputs = 1};
        o.attention = (struct attention){1, 1.0f, false};
        o.input[0] = o.output = map((struct shape){1, 1, 23, 11, 2}, activations[type]);
        o.input[0].shape.c = 6;
        check(&o, 1, 0, 64.0 * u);
    }
}

static void test_linear(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 4, 7}, {2, 131, 3}, {5, 6, 33}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int variant = 0; variant < 4; variant++) {
            struct operation o = {.kind = OP_LINEAR, .inputs = 1, .weights = 2};
            o.linear.silu_input = variant & 1;
            o.input[0] = map((struct shape){sizes[i][0], 1, 1, 1, sizes[i][1]}, DTYPE_F32);
            o.output = map((struct shape){sizes[i][0], 1, 1, 1, sizes[i][2]}, DTYPE_F32);
            o.weight[0] = kernel_weight(NULL, DTYPE_F32, 2, sizes[i][2], sizes[i][1]);
            o.weight[1] = kernel_weight(NULL, DTYPE_F32, variant & 2 ? 0 : 1, sizes[i][2], 1);
            check(&o, 1 | GRADIENT_WEIGHTS, 0, 16.0 * u);
        }
}

/* What differentiation adds to the convolution's own kernels: the mix. In f32, since the gradient
 * of the factor is a difference of sums, in which the rounding of a bf16 map stays. */
static void test_mix(void **state)
{
    (void)state;
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = 2, .weights = 3};
    o.convolution = (struct convolution){.kernel = {3, 3, 3},
                                         .stride = {1, 1, 1},
                                         .pad_front = {1, 1, 1},
                                         .pad_back = {1, 1, 1},
                                         .residual = true,
                                         .mix = true,
                                         .parts = 1};
    o.input[0] = o.input[1] = o.output = map((struct shape){1, 3, 4, 5, 2}, DTYPE_F32);
    o.weight[0] = (struct weight){NULL, DTYPE_F32, 5, {2, 2, 3, 3, 3}, false};
    o.weight[1] = kernel_weight(NULL, DTYPE_F32, 1, 2, 1);
    o.weight[2] = kernel_weight(NULL, DTYPE_F32, 1, 1, 1);
    /* Winograd's transforms enlarge the rounding of up to 120 products of each sum. */
    check(&o, 3 | GRADIENT_WEIGHTS, 0, 64.0 * u);
}

static void test_layouts(void **state)
{
    (void)state;
    struct shape shape = {2, 2, 3, 5, 3};
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_TO_CHANNELS_LAST, .inputs = 2};
        o.input[0] = o.input[1] = (struct tensor){shape, DTYPE_F32, SLICE_MAJOR};
        o.input[1].shape.c = 2;
        o.output = map(shape, activations[type]);
        o.output.shape.c = 5;
        check(&o, 3, 0, u);
        o = (struct operation){.kind = OP_TO_SLICE_MAJOR, .inputs = 1};
        o.input[0] = map(shape, activations[type]);
        o.output = (struct tensor){shape, DTYPE_F32, SLICE_MAJOR};
        check(&o, 1, 0, u);
        o = (struct operation){.kind = OP_CAST, .inputs = 1};
        o.input[0] = map(shape, activations[type]);
        o.output = map(shape, activations[1 - type]);
        check(&o, 1, 0, u);
    }
}

static void test_losses(void **state)
{
    (void)state;
    for (enum loss_kind kind = LOSS_L1; kind <= LOSS_HINGE_FAKE; kind++)
        for (int type = 0; type < 2; type++) {
            struct operation o = {.kind = OP_LOSS, .inputs = kind <= LOSS_L2 ? 2 : 1};
            float *x = gradient_values(2 * 3 * 61, 1, 0.0f), *t = gradient_values(2 * 3 * 61, 2, 0);
            o.loss = (struct loss){kind, 1.5f};
            o.input[0] = o.input[1] = map((struct shape){2, 1, 61, 1, 3}, activations[type]);
            o.output = scalar;
            for (int i = 0; i < 2 * 3 * 61; i++) {
                x[i] *= 2.0f;
                t[i] += 1.0f / 32.0f; /* never as large as x, nor near */
            }
            gradient_check(&o, (const float *const[]){x, t}, 1, 4.0 * u);
            free(x);
            free(t);
        }
}

static void test_gather(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        struct shape shape = {1, 4, 3, 5, 2}, picked = {1, 5, 3, 5, 2};
        float *x = gradient_values(shape_count(shape), 1, 0.0f), numbers[] = {2, 0, 3, 2, 2};
        struct operation o = {.kind = OP_GATHER, .inputs = 2};
        o.input[0] = map(shape, activations[variant % 2]);
        o.output = map(picked, activations[variant % 2]);
        o.input[0].layout = o.output.layout = variant / 2 ? SLICE_MAJOR : CHANNELS_LAST;
        o.input[1] = map((struct shape){5, 1, 1, 1, 1}, DTYPE_F32);
        gradient_check(&o, (const float *const[]){x, numbers}, 1, 2.0 * u);
        free(x);
    }
}

static void test_discriminator_parts(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_LEAKY_RELU, .inputs = 1};
        o.leaky_relu.slope = 0.25f;
        o.input[0] = o.output = map((struct shape){2, 1, 5, 7, 3}, activations[type]);
        check(&o, 1, 0, u);
        o.leaky_relu.slope = 0.0f;
        check(&o, 1, 0, u);
    }
}

/* Values whose windows hold no two near ones: multiples of 1/16 in an order without repetition. */
static void test_max_pool(void **state)
{
    (void)state;
    enum { COUNT = 2 * 5 * 7 * 3 };
    float x[COUNT];
    const float *input = x;
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i * 89 % COUNT - COUNT / 2) / 16.0f;
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_MAX_POOL, .inputs = 1};
        o.input[0] = map((struct shape){2, 1, 5, 7, 3}, activations[type]);
        o.output = map((struct shape){2, 1, 2, 3, 3}, activations[type]);
        gradient_check(&o, &input, 1, u);
    }
}

static void test_feature_distance(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_FEATURE_DISTANCE, .inputs = 2, .weights = 1};
        struct shape shape = {1, 1, 5, 17, 6};
        float *x = gradient_values(shape_count(shape), 3, 1.0f);
        float *y = gradient_values(shape_count(shape), 4, 1.0f), weight[] = {1, 2, 0, 3, 1, 0.5f};
        o.input[0] = o.input[1] = map(shape, activations[type]);
        o.output = scalar;
        o.weight[0] = kernel_weight(weight, DTYPE_F32, 2, 1, 6);
        gradient_check(&o, (const float *const[]){x, y}, 3, 8.0 * u);
        free(x);
        free(y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_norm), cmocka_unit_test(test_resample),
        cmocka_unit_test(test_attention),  cmocka_unit_test(test_attention_blocks),
        cmocka_unit_test(test_linear),     cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_mix),        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_gather),     cmocka_unit_test(test_discriminator_parts),
        cmocka_unit_test(test_max_pool),   cmocka_unit_test(test_feature_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
