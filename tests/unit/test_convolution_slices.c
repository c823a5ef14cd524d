/* Convolutions that leave slices out (negative pads along d, residual_slice): each part of the
 * output is bit for bit what the whole convolution makes, by Winograd and by plain products, and
 * what cannot be done is refused. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/winograd.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

enum { SLICES = 5 };

/* A convolution of SLICES slices to as many, padded by the half of its kernel. */
struct trial {
    int64_t h, w, c, out;
    int planes;
    enum dtype dtype;
    bool residual, mix, replicate, winograd;
};

static const struct trial trials[] = {
    {9, 10, 24, 20, 1, DTYPE_F32, .residual = true, .winograd = true},
    {9, 10, 4, 3, 1, DTYPE_F32, .residual = true},
    {9, 10, 24, 20, 3, DTYPE_F32, .residual = true, .mix = true, .winograd = true},
    {9, 10, 24, 20, 3, DTYPE_F32, .replicate = true, .winograd = true},
    {4, 5, 16, 16, 3, DTYPE_F32, .residual = true, .mix = true},
    {9, 10, 1, 1, 3, DTYPE_F32, .residual = true, .mix = true},
    {9, 10, 24, 20, 3, DTYPE_BF16, .residual = true, .mix = true},
    {9, 10, 6, 5, 3, DTYPE_BF16, .residual = true},
    {32, 32, 136, 16, 3, DTYPE_BF16, .residual = true, .mix = true, .winograd = true}, /* parts */
};

static struct operation describe(const struct trial *t)
{
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = t->residual ? 2 : 1, .weights = 2};
    int half = t->planes / 2;
    o.convolution = (struct convolution){
        .kernel = {t->planes, 3, 3},
        .stride = {1, 1, 1},
        .pad_front = {half, 1, 1},
        .pad_back = {half, 1, 1},
        .padding = t->replicate ? PADDING_REPLICATE : PADDING_ZERO,
        .residual = t->residual,
        .mix = t->mix,
        .parts = 1,
    };
    o.input[0] = (struct tensor){{1, SLICES, t->h, t->w, t->c}, t->dtype, CHANNELS_LAST};
    o.output = o.input[0];
    o.output.shape.c = t->out;
    o.input[1] = o.output;
    int64_t count = t->out * t->c * t->planes * 9;
    o.weight[0] = (struct weight){kernel_values(DTYPE_F32, count, 5, 0.0, 1.0),
                                  DTYPE_F32,
                                  5,
                                  {t->out, t->c, t->planes, 3, 3},
                                  false};
    o.weight[1] =
        kernel_weight(kernel_values(DTYPE_F32, t->out, 9, 0.0, 1.0), DTYPE_F32, 1, t->out, 1);
    if (t->mix)
        o.weight[o.weights++] =
            kernel_weight(kernel_values(DTYPE_F32, 1, 3, 0.3, 0.0), DTYPE_F32, 1, 1, 1);
    return o;
}

static struct operation part_of(struct operation o, int first, int count)
{
    o.convolution.pad_front[AXIS_D] -= first;
    o.convolution.pad_back[AXIS_D] -= SLICES - first - count;
    o.convolution.residual_slice = first;
    o.output.shape.d = count;
    return o;
}

static void check_parts(void)
{
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct operation whole = describe(&trials[i]);
        void *inputs[] = {
            kernel_values(trials[i].dtype, shape_count(whole.input[0].shape), 1, 0.0, 1.0),
            kernel_values(trials[i].dtype, shape_count(whole.input[1].shape), 2, 0.0, 1.0),
        };
        const void *const *in = (const void *const *)inputs;
        char *expected = kernel_run(&cpu_convolution, &whole, in);
        int64_t slice = tensor_bytes(whole.output) / SLICES;
        for (int part = 0; part < SLICES * SLICES; part++) {
            int first = part / SLICES, count = part % SLICES + 1;
            if (first + count > SLICES)
                continue;
            struct operation o = part_of(whole, first, count);
            assert_int_equal(winograd_suits(&o), trials[i].winograd);
            void *got = kernel_run(&cpu_convolution, &o, in);
            assert_memory_equal(got, expected + first * slice, (size_t)(count * slice));
            free(got);
        }
        for (int k = 0; k < whole.weights; k++)
            free((void *)(uintptr_t)whole.weight[k].data);
        free(expected);
        free(inputs[0]);
        free(inputs[1]);
    }
}

static void test_parts(void **state)
{
    (void)state;
    for (int i = 0; kernel_sets[i]; i++)
        if (!simd_select(kernel_sets[i]))
            check_parts();
}

static void test_refusals(void **state)
{
    (void)state;
    struct operation whole = describe(&trials[2]), o = part_of(whole, 1, 2);
    o.convolution.residual_slice = SLICES - 1;
    kernel_refuses(&cpu_convolution, &o, "residual");
    o.convolution.residual_slice = -1;
    kernel_refuses(&cpu_convolution, &o, "residual");
    o = part_of(whole, 1, 2);
    o.output.shape.d = 3;
    kernel_refuses(&cpu_convolution, &o, "extents");
    o = part_of(whole, 1, 2);
    o.input[0].shape.n = o.input[1].shape.n = o.output.shape.n = 2;
    kernel_refuses(&cpu_convolution, &o, "several samples");
    for (int k = 0; k < whole.weights; k++)
        free((void *)(uintptr_t)whole.weight[k].data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
