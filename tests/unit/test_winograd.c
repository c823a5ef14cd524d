/* Winograd's convolutions against the plain sum, under every instruction set, and which
 * convolutions they take.
 *
 * F(4×4, 3×3) subtracts large terms, so that a strict bound says little, but its errors behave like
 * random ones. A sum of K terms makes errors of √(K/2)·2⁻²⁴/√3 of its size (rms), the transforms
 * those of some 10 terms more. Transformed back, their variance grows by Σ_k A_ik²·Σ_j G_kj²·Σ_j
 * B_kj²/3, squared for two dimensions: with the points 0, ±5/8, ±3/2, ∞ by 23 on average over a
 * tile, by 67 in its corner. bf16 is exact in f32; where weights are scaled or added before they
 * are packed, they are rounded to bf16 again, and so is every output: by up to 2⁻⁹ of itself. The
 * tests allow twice the rms that follows, and any one output ten times. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/winograd.h"
#include "tests/unit/kernel_check.h"
#include "tests/unit/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

/* Extents are those of the input; pads before and behind along d, h, w where they are not the
 * kernel's half; up: the input is upsampled along h, w and, with three planes, d. */
struct trial {
    int64_t n, d, h, w, c, out;
    int planes;
    bool residual, mix, replicate;
    const int *pads;
    bool up;
};

static const int none[] = {0, 0, 0, 0, 0, 0}, uneven[] = {0, 2, 1, 0, 0, 2};
static const int uneven_3d[] = {2, 1, 1, 0, 1, 1};

static const struct trial trials[] = {
    {2, 3, 9, 10, 24, 40, 1, .up = false},
    {1, 2, 11, 12, 19, 21, 1, .residual = true},
    {2, 1, 8, 13, 33, 35, 1, .residual = true, .mix = true},
    {1, 1, 17, 16, 32, 1, 1, .up = false},
    {2, 1, 30, 37, 16, 20, 1, .residual = true},              /* several blocks */
    {2, 1, 8, 7, 200, 270, 1, .residual = true, .mix = true}, /* several parts */
    {1, 2, 12, 13, 16, 16, 1, .pads = none},
    {1, 2, 9, 12, 20, 18, 1, .pads = uneven},
    {2, 2, 10, 11, 17, 16, 1, .replicate = true},
    {2, 1, 15, 16, 24, 16, 3, .residual = true},
    {1, 2, 11, 12, 19, 35, 3, .residual = true, .mix = true},
    {2, 5, 10, 9, 18, 20, 3, .residual = true},
    {1, 7, 9, 15, 16, 17, 3, .replicate = true},
    {1, 5, 9, 8, 140, 150, 3, .residual = true, .mix = true}, /* several parts */
    {2, 9, 8, 7, 20, 24, 3, .residual = true},                /* slices of four tiles */
    {1, 6, 10, 10, 16, 16, 3, .pads = uneven_3d},
    {2, 2, 8, 8, 18, 20, 1, .residual = true, .up = true},
    {1, 1, 8, 8, 200, 20, 1, .pads = uneven, .up = true},
    {2, 3, 8, 9, 17, 19, 3, .residual = true, .up = true},
    {1, 2, 8, 8, 140, 18, 3, .residual = true, .mix = true, .up = true},
    /* Large enough for Winograd where the processor multiplies bf16. */
    {2, 1, 16, 16, 200, 270, 1, .residual = true},
    {1, 5, 16, 15, 140, 20, 3, .residual = true, .mix = true},
};

static struct operation describe(const struct trial *t, enum dtype dtype)
{
    static const int same_2d[] = {0, 1, 1, 0, 1, 1}, same_3d[] = {1, 1, 1, 1, 1, 1};
    const int *pads = t->pads ? t->pads : t->planes == 1 ? same_2d : same_3d;
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = t->residual ? 2 : 1};
    o.convolution = (struct convolution){
        .kernel = {t->planes, 3, 3},
        .stride = {1, 1, 1},
        .pad_front = {pads[0], pads[1], pads[2]},
        .pad_back = {pads[3], pads[4], pads[5]},
        .padding = t->replicate ? PADDING_REPLICATE : PADDING_ZERO,
        .residual = t->residual,
        .mix = t->mix,
        .upsampled = {t->up && t->planes == 3, t->up, t->up},
        .parts = 1,
    };
    struct shape in = {t->n, t->d, t->h, t->w, t->c};
    int64_t d = t->d << o.convolution.upsampled[AXIS_D], h = t->h << t->up, w = t->w << t->up;
    struct shape out = {t->n, d + pads[0] + pads[3] - t->planes + 1, h + pads[1] + pads[4] - 2,
                        w + pads[2] + pads[5] - 2, t->out};
    o.input[0] = (struct tensor){in, dtype, CHANNELS_LAST};
    o.output = o.input[1] = (struct tensor){out, dtype, CHANNELS_LAST};
    o.weight[0] = (struct weight){kernel_values(dtype, t->out * t->c * t->planes * 9, 5, 0.0, 1.0),
                                  dtype,
                                  5,
                                  {t->out, t->c, t->planes, 3, 3},
                                  false};
    o.weight[1] =
        kernel_weight(kernel_values(DTYPE_F32, t->out, 9, 0.0, 1.0), DTYPE_F32, 1, t->out, 1);
    o.weights = 2;
    if (t->mix)
        o.weight[o.weights++] =
            kernel_weight(kernel_values(DTYPE_F32, 1, 3, 0.3, 0.0), DTYPE_F32, 1, 1, 1);
    return o;
}

static double rms_error(const struct operation *o, const void *const *inputs,
                        const double *expected)
{
    void *got = kernel_run(&cpu_convolution, o, inputs);
    int64_t count = shape_count(o->output.shape);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += pow(reference_get(got, o->output.dtype, i) - expected[i], 2.0);
    free(got);
    return sqrt(sum / (double)count);
}

/* Inputs and weights are uniform in ±1: of variance 1/3. */
static double expected_rms(const struct trial *t, enum dtype dtype)
{
    double terms = (double)(t->c * t->planes);
    double f32 = sqrt(23.0 * (terms / 2.0 + 10.0) / 3.0) * 0x1p-24 * sqrt(terms);
    double bf16 = 2.0 * sqrt(9.0 * terms + 1.0) / 3.0 * 0x1p-9;
    return dtype == DTYPE_BF16 ? f32 + bf16 : f32;
}

static void try(const struct trial *t, const struct operation *o, double rms)
{
    void *inputs[] = {
        kernel_values(o->input[0].dtype, shape_count(o->input[0].shape), 1, 0.0, 1.0),
        kernel_values(o->output.dtype, shape_count(o->output.shape), 2, 0.0, 1.0),
    };
    double *expected = malloc((size_t)shape_count(o->output.shape) * sizeof *expected);
    kernel_check(&cpu_convolution, o, (const void *const *)inputs, 10.0 * rms, t->planes == 1);
    reference_run(o, (const void *const *)inputs, expected);
    for (int k = 0; kernel_sets[k]; k++) {
        double error =
            simd_select(kernel_sets[k]) ? 0.0 : rms_error(o, (const void *const *)inputs, expected);
        if (!(error <= 2.0 * rms))
            fail_msg("%s: trial %td: rms error %g, bound %g", kernel_sets[k], t - trials, error,
                     2.0 * rms);
    }
    free(inputs[0]);
    free(inputs[1]);
    free(expected);
}

static void try_all(enum dtype dtype)
{
    int tried = 0;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct operation o = describe(&trials[i], dtype);
        bool suits = winograd_suits(&o);
        if (suits)
            try(&trials[i], &o, expected_rms(&trials[i], dtype));
        assert_true(suits || dtype == DTYPE_BF16);
        tried += suits;
        for (int k = 0; k < o.weights; k++)
            free((void *)(uintptr_t)o.weight[k].data);
    }
    assert_true(tried >= 6);
}

static void test_f32(void **state)
{
    (void)state;
    try_all(DTYPE_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    try_all(DTYPE_BF16);
}

/* The choice sees one sample: neither batch nor the slices of a 2-D convolution. */
static void test_choice(void **state)
{
    (void)state;
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = 1};
    o.convolution = (struct convolution){{1, 3, 3}, {1, 1, 1},    {0, 1, 1}, {0, 1, 1},
                                         {0},       PADDING_ZERO, .parts = 1};
    o.input[0] = o.output = (struct tensor){{1, 1, 8, 8, 64}, DTYPE_F32, CHANNELS_LAST};
    assert_true(winograd_suits(&o));

    struct operation other = o;
    other.input[0].shape.n = other.output.shape.n = 100;
    other.input[0].shape.d = other.output.shape.d = 100;
    assert_true(winograd_suits(&other));
    other.input[0].shape.h = other.output.shape.h = 4;
    other.input[0].shape.w = other.output.shape.w = 4;
    assert_false(winograd_suits(&other));

    other = o;
    other.input[0].shape.c = 4;
    assert_false(winograd_suits(&other));
    other = o;
    other.convolution.first_channel = 6;
    assert_false(winograd_suits(&other));
    other = o;
    other.convolution.parts = 3;
    assert_false(winograd_suits(&other));
    other = o;
    other.input[0].dtype = other.output.dtype = DTYPE_BF16;
    assert_int_equal(winograd_suits(&other), !cpu_has_bf16());
    other.input[0].shape.h = other.output.shape.h = 16;
    other.input[0].shape.w = other.output.shape.w = 16;
    assert_true(winograd_suits(&other));
    other = o;
    other.convolution.stride[AXIS_W] = 2;
    assert_false(winograd_suits(&other));
    other = o;
    other.convolution.kernel[AXIS_H] = 1;
    assert_false(winograd_suits(&other));
    other = o;
    other.convolution.pad_front[AXIS_H] = 3;
    assert_false(winograd_suits(&other));
    other = o;
    other.convolution.transposed = true;
    assert_false(winograd_suits(&other));

    /* Along d the slices of one 3-D sample count. */
    other = o;
    other.convolution.kernel[AXIS_D] = 3;
    other.convolution.pad_front[AXIS_D] = other.convolution.pad_back[AXIS_D] = 1;
    assert_false(winograd_suits(&other));
    other.input[0].shape.d = other.output.shape.d = 8;
    assert_true(winograd_suits(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
