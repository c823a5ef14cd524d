/* What only networks that are run, not trained, ask of the CPU: convolutions with batch norm and
 * ReLU, pooling, concatenation; under every instruction set.
 *
 * A sum of K products of numbers below 1 is off by at most K·2⁻²⁴·K in f32, its parts being below 1
 * each; the factor of the norm, at most 3 here, is rounded too. Winograd's bound is that of
 * test_winograd.c: ten times its rms. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/winograd.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#define EPSILON 1e-3f

static const double u = 0x1p-24;

struct trial {
    int64_t n, h, w, c, out;
    int rows, columns, stride, pad_h, pad_w;
    bool residual, bias, winograd;
};

static const struct trial trials[] = {
    {2, 9, 11, 3, 8, 3, 3, 2, 0, 0, false, false, false},    /* lines */
    {2, 9, 19, 3, 3, 3, 3, 1, 1, 1, true, true, false},      /* lines, few outputs */
    {2, 10, 9, 20, 21, 1, 7, 1, 0, 3, false, false, false},  /* taps */
    {2, 9, 10, 20, 200, 7, 1, 1, 3, 0, true, false, false},  /* two chunks of outputs */
    {1, 9, 8, 18, 24, 5, 5, 1, 2, 2, false, true, false},    /* both ways padded */
    {2, 11, 12, 24, 16, 3, 3, 2, 0, 0, false, false, false}, /* stride without padding */
    {2, 4, 5, 20, 16, 1, 1, 1, 0, 0, false, false, false},   /* pointwise */
    {2, 17, 16, 24, 20, 3, 3, 1, 1, 1, false, false, true},
    {1, 15, 16, 200, 20, 3, 3, 1, 1, 1, true, true, true}, /* in two parts */
};

static void add_vector(struct operation *o, int64_t count, double offset, double spread)
{
    void *values = kernel_values(DTYPE_F32, count, 20 + (uint64_t)o->weights, offset, spread);
    o->weight[o->weights++] = kernel_weight(values, DTYPE_F32, 1, count, 1);
}

static struct operation describe(const struct trial *t, enum dtype dtype, bool norm)
{
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = t->residual ? 2 : 1};
    o.convolution = (struct convolution){.kernel = {1, t->rows, t->columns},
                                         .stride = {1, t->stride, t->stride},
                                         .pad_front = {0, t->pad_h, t->pad_w},
                                         .pad_back = {0, t->pad_h, t->pad_w},
                                         .residual = t->residual,
                                         .relu = true,
                                         .norm_epsilon = norm ? EPSILON : 0,
                                         .parts = 1};
    struct shape in = {t->n, 2, t->h, t->w, t->c}, out = in;
    out.h = convolution_extent(&o.convolution, AXIS_H, t->h);
    out.w = convolution_extent(&o.convolution, AXIS_W, t->w);
    out.c = t->out;
    o.input[0] = (struct tensor){in, dtype, CHANNELS_LAST};
    o.output = o.input[1] = (struct tensor){out, dtype, CHANNELS_LAST};
    int64_t count = t->out * t->c * t->rows * t->columns;
    o.weight[o.weights++] = (struct weight){kernel_values(DTYPE_F32, count, 5, 0.0, 1.0),
                                            DTYPE_F32,
                                            4,
                                            {t->out, t->c, t->rows, t->columns},
                                            false};
    add_vector(&o, t->out, 0.0, 1.0);
    if (!t->bias) {
        free((void *)(uintptr_t)o.weight[1].data);
        o.weight[1] = (struct weight){0};
    }
    if (norm) {
        add_vector(&o, t->out, 0.5, 1.0); /* weights of either sign */
        add_vector(&o, t->out, 0.0, 1.0);
        add_vector(&o, t->out, 0.0, 1.0);
        add_vector(&o, t->out, 0.65, 0.4); /* variances 0.25 … 1.05 */
    }
    return o;
}

static void release(struct operation *o)
{
    for (int i = 0; i < o->weights; i++)
        free((void *)(uintptr_t)o->weight[i].data);
}

static void check_random(const struct kernel *kernel, const struct operation *o, double slack)
{
    void *inputs[OPERATION_INPUTS] = {NULL};
    for (int i = 0; i < o->inputs; i++)
        inputs[i] = kernel_values(o->input[i].dtype, shape_count(o->input[i].shape),
                                  (uint64_t)i + 1, 0.0, 1.0);
    kernel_check(kernel, o, (const void *const *)inputs, slack, true);
    for (int i = 0; i < o->inputs; i++)
        free(inputs[i]);
}

static double slack_of(const struct trial *t, enum dtype dtype, bool norm)
{
    double terms = (double)(t->c * t->rows * t->columns) + 3, factor = norm ? 3.0 : 1.0;
    double strict = factor * terms * (terms + 2) * u;
    double winograd =
        10.0 * factor * sqrt(23.0 * ((double)t->c / 2.0 + 11.0) / 3.0) * u * sqrt((double)t->c);
    /* Weights in bf16 are off by 2⁻⁹ of themselves once the norm has scaled them. */
    double half = dtype == DTYPE_BF16 ? factor * terms * 0x1p-9 : 0.0;
    return (t->winograd ? winograd : strict) + half;
}

static void try_all(enum dtype dtype)
{
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        for (int norm = 0; norm < 2; norm++) {
            struct operation o = describe(&trials[i], dtype, norm);
            if (dtype == DTYPE_F32)
                assert_int_equal(winograd_suits(&o), trials[i].winograd);
            check_random(&cpu_convolution, &o, slack_of(&trials[i], dtype, norm));
            release(&o);
        }
}

static void test_convolution(void **state)
{
    (void)state;
    try_all(DTYPE_F32);
}

static void test_convolution_bf16(void **state)
{
    (void)state;
    try_all(DTYPE_BF16);
}

static void test_convolution_refusals(void **state)
{
    (void)state;
    struct operation o = describe(&trials[0], DTYPE_F32, true);
    struct operation other = o;
    other.weight[4].shape[0] = 7;
    kernel_refuses(&cpu_convolution, &other, "four vectors");
    other = o;
    other.weights = 2;
    kernel_refuses(&cpu_convolution, &other, "four vectors");
    other = o;
    other.convolution.parts = 2;
    kernel_refuses(&cpu_convolution, &other, "one kernel");
    other = o;
    other.kind = OP_CONVOLUTION_PAIR;
    other.pair[1] = other.pair[0];
    kernel_refuses(&cpu_convolution_pair, &other, "");
    release(&o);
}

static struct operation pool_of(enum pooling pooling, int size, int stride, int pad, int64_t h,
                                int64_t w, int64_t c)
{
    struct operation o = {.kind = OP_POOL, .inputs = 1};
    o.pool = (struct pool){pooling, size, stride, pad};
    o.input[0] = o.output = (struct tensor){{2, 2, h, w, c}, DTYPE_F32, CHANNELS_LAST};
    o.output.shape.h = pool_extent(&o.pool, h);
    o.output.shape.w = pool_extent(&o.pool, w);
    return o;
}

static void test_pool(void **state)
{
    (void)state;
    static const int64_t channels[] = {1, 16, 37};
    for (int pooling = POOL_MAXIMUM; pooling <= POOL_MEAN; pooling++)
        for (int i = 0; i < 3; i++) {
            /* A mean of 16 is off by at most 17 roundings of sums below 16. */
            double slack = pooling == POOL_MEAN ? 18 * u : 0.0;
            struct operation o = pool_of((enum pooling)pooling, 3, 2, 0, 8, 11, channels[i]);
            check_random(&cpu_pool, &o, slack);
            o = pool_of((enum pooling)pooling, 3, 1, 1, 5, 7, channels[i]);
            check_random(&cpu_pool, &o, slack);
            o = pool_of((enum pooling)pooling, 4, 3, 2, 4, 9, channels[i]);
            check_random(&cpu_pool, &o, slack);
        }
    struct operation o = pool_of(POOL_MEAN, 3, 1, 1, 5, 7, 4);
    o.pool.pad = 3;
    kernel_refuses(&cpu_pool, &o, "fit together");
    o = pool_of(POOL_MEAN, 3, 1, 1, 5, 7, 4);
    o.output.shape.w = 6;
    kernel_refuses(&cpu_pool, &o, "does not follow");
    o = pool_of(POOL_MEAN, 3, 1, 0, 5, 7, 4);
    o.input[0].shape.h = 2;
    kernel_refuses(&cpu_pool, &o, "smaller than the window");
    o = pool_of(POOL_MEAN, 9, 1, 0, 9, 9, 4);
    kernel_refuses(&cpu_pool, &o, "8×8");
}

static void test_concatenate(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct operation o = {.kind = OP_CONCATENATE, .inputs = 4};
        enum dtype dtype = type ? DTYPE_BF16 : DTYPE_F32;
        for (int i = 0; i < 4; i++)
            o.input[i] = (struct tensor){{2, 3, 5, 4, 7 * i + 1}, dtype, CHANNELS_LAST};
        o.output = o.input[0];
        o.output.shape.c = 1 + 8 + 15 + 22;
        check_random(&cpu_concatenate, &o, 0.0);
        o.output.shape.c--;
        kernel_refuses(&cpu_concatenate, &o, "add up");
        o.input[2].shape.w = 3;
        kernel_refuses(&cpu_concatenate, &o, "differ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution),          cmocka_unit_test(test_convolution_bf16),
        cmocka_unit_test(test_convolution_refusals), cmocka_unit_test(test_pool),
        cmocka_unit_test(test_concatenate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
