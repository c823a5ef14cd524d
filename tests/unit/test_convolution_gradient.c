/* The gradients of convolutions against plain sums in double, and against the convolution itself:
 * ⟨conv(x), dy⟩ = ⟨x, convᵀ(dy)⟩ = ⟨dW, W⟩ for the same kernel W.
 *
 * Tolerances: a sum of K products of f32 is off by at most K·2⁻²⁴ of the sum of its absolute
 * terms, here of numbers below 1 in size. Winograd's sums over channels, by the errors that
 * test_winograd.c derives, stay below that bound; those over T tiles of 16 products of size 1/3
 * have, by the same derivation with a kernel's gradient in the place of an output, an rms error of
 * √(23·(T/2 + 10)/3)·2⁻²⁴·√(16·T)/3, of which any one element may have ten. What bf16 rounds before
 * a product (a kernel times a, a sum of pixels) is off by 2⁻⁹ of itself at random: of K such terms
 * of rms 1/3, six standard deviations are 6·2⁻⁹·√K/3. That much is lost too where cuDNN makes dx in
 * bf16 before something is added; its gradients of kernels are off by up to 2⁻⁸ of themselves. */
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "tests/unit/device.h"
#include "tests/unit/kernel_check.h"
#include "tests/unit/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Extents are those of x; more: channels of the kernel beyond those of x, half of them before. */
struct trial {
    int64_t n, d, h, w, c, out;
    int kernel[AXES], stride[AXES], front[AXES], back[AXES], crop[AXES];
    bool replicate, transposed, mix;
    int parts, more;
    bool upsampled[AXES];
};

#define ONES                                                                                       \
    {                                                                                              \
        1, 1, 1                                                                                    \
    }
#define SAME_2D                                                                                    \
    {1, 3, 3}, ONES, {0, 1, 1},                                                                    \
    {                                                                                              \
        0, 1, 1                                                                                    \
    }
#define UNEVEN                                                                                     \
    {0, 1, 0}, {0, 0, 1},                                                                          \
    {                                                                                              \
        0, 3, 1                                                                                    \
    }
#define SAME_3D {3, 3, 3}, ONES, ONES, ONES

static const struct trial trials[] = {
    {2, 3, 7, 5, 12, 20, SAME_2D, .parts = 1},
    {1, 2, 9, 10, 24, 33, SAME_2D, .mix = true, .parts = 1}, /* Winograd */
    {2, 1, 16, 17, 40, 16, SAME_2D, .parts = 1},             /* Winograd */
    {1, 3, 5, 6, 1, 9, SAME_2D, .replicate = true, .parts = 1},
    {1, 1, 6, 9, 210, 70, SAME_2D, .replicate = true, .parts = 1}, /* several chunks */
    {1, 1, 5, 4, 17, 140, SAME_2D, .parts = 1},
    {2, 2, 5, 7, 20, 12, ONES, ONES, .parts = 1},
    {1, 1, 8, 8, 21, 36, ONES, ONES, .parts = 3},
    {2, 1, 3, 5, 18, 16, ONES, ONES, .parts = 1, .more = 6},
    {1, 1, 2, 3, 700, 10, ONES, ONES, .parts = 1}, /* several chunks */
    {1, 1, 80, 79, 5, 9, ONES, ONES, .parts = 1},  /* several parts */
    {2, 1, 8, 6, 12, 10, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {0, 1, 1}, .parts = 1},
    {1, 2, 9, 8, 8, 7, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}, .mix = true, .parts = 1},
    {1, 1, 7, 6, 5, 6, ONES, {1, 2, 2}, .parts = 1},
    {1, 1, 7, 9, 5, 6, {1, 2, 2}, {1, 3, 1}, {0, 1, 1}, {0, 0, 0}, .parts = 2, .more = 3},
    {1, 1, 4, 5, 6, 8, {1, 3, 3}, ONES, {0, 3, 4}, {0, 0, 1}, .parts = 1},
    {1, 1, 1, 2, 6, 8, {1, 3, 4}, ONES, {0, 2, 1}, {0, 1, 2}, .replicate = true, .parts = 1},
    {2, 1, 4, 5, 7, 9, SAME_2D, .parts = 1, .upsampled = {false, true, true}},
    {1, 1, 8, 7, 24, 18, SAME_2D, .mix = true, .parts = 1, .upsampled = {false, true, true}},
    {1, 3, 4, 5, 17, 16, SAME_3D, .parts = 1, .upsampled = {true, true, true}},
    {1, 1, 4, 3, 6, 8, SAME_2D, .replicate = true, .parts = 1, .upsampled = {false, true, true}},
    {2, 4, 5, 6, 6, 12, SAME_3D, .mix = true, .parts = 1},
    {1, 3, 6, 7, 20, 3, SAME_3D, .parts = 1, .more = 2},   /* few outputs: patches of dy */
    {2, 1, 50, 49, 2, 19, SAME_2D, .parts = 1, .more = 1}, /* few inputs, several parts */
    {1, 2, 4, 5, 9, 2, SAME_3D, .parts = 1, .upsampled = {true, true, true}},
    {1, 5, 8, 9, 20, 17, SAME_3D, .parts = 1},                         /* Winograd */
    {1, 3, 8, 9, 20, 17, SAME_3D, .mix = true, .parts = 1, .more = 2}, /* the same */
    {1, 1, 46, 49, 16, 17, SAME_2D, .parts = 1}, /* several parts of Winograd's */
    {1, 20, 9, 10, 16, 16, SAME_3D, .parts = 1}, /* the same */
    {1, 6, 8, 5, 17, 16, {3, 3, 3}, ONES, {-1, 1, 1}, {0, 2, 0}, .parts = 1},
    {1, 6, 4, 5, 4, 9, {3, 3, 3}, ONES, {-1, 1, 1}, {-2, 2, 0}, .replicate = true, .parts = 1},
    {2, 3, 4, 5, 8, 9, SAME_3D, .replicate = true, .parts = 1},
    {1, 12, 18, 18, 17, 18, SAME_3D, .replicate = true, .mix = true, .parts = 1}, /* Winograd */
    {2, 1, 22, 18, 19, 16, {1, 3, 3}, ONES, {0, 2, 0}, {0, 0, 2}, .replicate = true, .parts = 1},
    {1, 6, 4, 6, 5, 16, {4, 4, 4}, {2, 2, 2}, ONES, ONES, .replicate = true, .parts = 1},
    {1, 8, 4, 5, 6, 8, {4, 4, 4}, {2, 1, 1}, {1, 2, 2}, ONES, .replicate = true, .parts = 1},
    {2, 5, 4, 3, 4, 4, {4, 4, 4}, {2, 1, 1}, {1, 2, 2}, ONES, {3, 3, 3}, true, true, .parts = 1},
    {1, 3, 4, 5, 3, 6, {3, 3, 3}, {2, 2, 2}, .crop = ONES, .transposed = true, .parts = 1},
    {1, 1, 4, 5, 3, 6, {1, 4, 2}, {1, 2, 2}, UNEVEN, true, true, true, .parts = 1, .more = 2},
    {1, 1, 4, 4, 5, 8, {1, 2, 2}, {1, 2, 2}, .transposed = true, .parts = 2},
};
enum { TRIALS = sizeof trials / sizeof *trials };

/* Types of x and dx, of y and dy. */
static const enum dtype types[][2] = {
    {DTYPE_F32, DTYPE_F32}, {DTYPE_BF16, DTYPE_BF16}, {DTYPE_BF16, DTYPE_F32}};

static int64_t taps_of(const struct trial *t)
{
    return t->kernel[AXIS_D] * t->kernel[AXIS_H] * t->kernel[AXIS_W];
}

/* f32 numbers that bf16 holds. */
static float *weights(int64_t count, uint64_t seed)
{
    uint16_t *narrow = kernel_values(DTYPE_BF16, count, seed, 0.0, 1.0);
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)reference_get(narrow, DTYPE_BF16, i);
    free(narrow);
    return values;
}

/* The forward operation: no residual, input 0 = x, output = y. */
static struct operation describe(const struct trial *t, const enum dtype type[2])
{
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = 1};
    struct shape x = {t->n, t->d, t->h, t->w, t->c};
    o.convolution = (struct convolution){.padding = t->replicate ? PADDING_REPLICATE : PADDING_ZERO,
                                         .transposed = t->transposed,
                                         .parts = t->parts,
                                         .mix = t->mix,
                                         .residual = t->mix,
                                         .first_channel = t->more / 2};
    memcpy(o.convolution.kernel, t->kernel, sizeof t->kernel);
    memcpy(o.convolution.stride, t->stride, sizeof t->stride);
    memcpy(o.convolution.pad_front, t->front, sizeof t->front);
    memcpy(o.convolution.pad_back, t->back, sizeof t->back);
    memcpy(o.convolution.crop, t->crop, sizeof t->crop);
    memcpy(o.convolution.upsampled, t->upsampled, sizeof t->upsampled);
    struct shape y = {t->n, convolution_extent(&o.convolution, AXIS_D, t->d),
                      convolution_extent(&o.convolution, AXIS_H, t->h),
                      convolution_extent(&o.convolution, AXIS_W, t->w), t->out};
    o.input[0] = (struct tensor){x, type[0], CHANNELS_LAST};
    o.output = (struct tensor){y, type[1], CHANNELS_LAST};
    int64_t in = t->c + t->more, out = t->out / t->parts;
    for (int part = 0; part < t->parts; part++) {
        const float *kernel = weights(in * out * taps_of(t), 5 + (uint64_t)part);
        o.weight[2 * part] = (struct weight){kernel,
                                             DTYPE_F32,
                                             5,
                                             {t->transposed ? in : out, t->transposed ? out : in,
                                              t->kernel[0], t->kernel[1], t->kernel[2]},
                                             false};
        o.weight[2 * part + 1] = kernel_weight(weights(out, 9), DTYPE_F32, 1, out, 1);
    }
    o.weights = 2 * t->parts;
    if (t->mix)
        o.weight[o.weights++] =
            kernel_weight(kernel_values(DTYPE_F32, 1, 3, 0.3, 0.0), DTYPE_F32, 1, 1, 1);
    return o;
}

static void release(struct operation *o)
{
    for (int i = 0; i < o->weights; i++)
        free((void *)(uintptr_t)o->weight[i].data);
}

static int64_t weight_count(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

/* The gradient operation of a forward one; `added`: with an input to add to dx. */
static struct operation data_of(const struct operation *forward, bool added)
{
    struct operation o = *forward;
    o.kind = OP_CONVOLUTION_DATA;
    o.inputs = added ? 2 : 1;
    o.input[0] = forward->output;
    o.input[1] = o.output = forward->input[0];
    return o;
}

static struct operation weights_of(const struct operation *forward)
{
    struct operation o = *forward;
    o.kind = OP_CONVOLUTION_WEIGHTS;
    o.inputs = 2;
    o.input[1] = forward->output;
    o.output = (struct tensor){{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};
    return o;
}

static void try_data(const struct trial *t, const enum dtype type[2], bool added)
{
    struct operation forward = describe(t, type), o = data_of(&forward, added);
    void *inputs[] = {kernel_values(type[1], shape_count(o.input[0].shape), 1, 0.0, 1.0),
                      kernel_values(type[0], shape_count(o.output.shape), 2, 0.0, 1.0)};
    double products = (double)(t->out * taps_of(t)), rounded = 0.0;
    for (int a = 0; a < AXES; a++) {
        int repeated = (t->front[a] > 0 ? t->front[a] : 0) + (t->back[a] > 0 ? t->back[a] : 0);
        products *= (t->upsampled[a] ? 2 : 1) * (t->replicate ? 1 + repeated : 1);
    }
    bool narrow = added && !test_backend_is_cpu();
    if (type[0] == DTYPE_BF16 && (t->mix || t->replicate || t->upsampled[AXIS_W] || narrow))
        rounded = 6.0 * 0x1p-9 * sqrt(products) / 3.0;
    kernel_check(&cpu_convolution_data, &o, (const void *const *)inputs,
                 products * products * 0x1p-24 + rounded, false);
    free(inputs[0]);
    free(inputs[1]);
    release(&forward);
}

static void test_data(void **state)
{
    (void)state;
    for (int i = 0; i < TRIALS; i++)
        for (int type = 0; type < 3; type++)
            try_data(&trials[i], types[type], i % 2 == 0);
}

/* Gradients that begin as `first`; the caller frees. */
static void begin_gradients(struct operation *o, float *const *first)
{
    for (int i = 0; i < 2 * o->convolution.parts; i++) {
        size_t bytes = (size_t)weight_count(&o->weight[i]) * sizeof(float);
        o->gradient[i] = malloc(bytes);
        memcpy(o->gradient[i], first[i], bytes);
    }
}

static void end_gradients(struct operation *o)
{
    for (int i = 0; i < OPERATION_WEIGHTS; i++) {
        free(o->gradient[i]);
        o->gradient[i] = NULL;
    }
}

static void run_weights(const struct operation *o, const void *const *inputs, int planned,
                        int threads)
{
    float *token = kernel_run_threads(&cpu_convolution_weights, o, inputs, planned, threads, false);
    assert_true(*token == 0.0f);
    free(token);
}

static void check_gradients(const struct operation *o, float *const *first, double *const *sums,
                            double *const *absolute)
{
    double products = (double)shape_count(o->input[1].shape) / (double)o->input[1].shape.c;
    double tiles = ceil(products / 16.0);
    bool narrow = o->input[0].dtype == DTYPE_BF16 && !test_backend_is_cpu();
    double rms = sqrt(23.0 * (tiles / 2.0 + 10.0) / 3.0) * 0x1p-24 * sqrt(16.0 * tiles) / 3.0;
    for (int i = 0; i < 2 * o->convolution.parts; i++)
        for (int64_t k = 0; k < weight_count(&o->weight[i]); k++) {
            double expected = first[i][k] + sums[i][k], got = o->gradient[i][k];
            double bound = fmax((products + 3.0) * 0x1p-24 * absolute[i][k], 10.0 * rms) +
                           0x1p-24 * fabs(expected) +
                           (narrow && i % 2 == 0 ? 0x1p-8 * fabs(sums[i][k]) : 0.0);
            if (!(fabs(got - expected) <= bound))
                fail_msg("%s: %lldx%lld: gradient %d, element %lld is %.9g, not %.9g (bound %.3g)",
                         simd()->name, (long long)o->input[0].shape.c,
                         (long long)o->input[1].shape.c, i, (long long)k, got, expected, bound);
        }
}

static void check_same(const struct operation *o, float *const *expected)
{
    for (int i = 0; i < 2 * o->convolution.parts; i++)
        if (memcmp(o->gradient[i], expected[i],
                   (size_t)weight_count(&o->weight[i]) * sizeof(float)) != 0)
            fail_msg("%s: other bits of gradient %d for other threads", simd()->name, i);
}

static void try_weights_threads(struct operation *o, const void *const *inputs, float *const *first)
{
    static const int planned[] = {1, 3, 3, 1}, threads[] = {1, 3, 2, 3};
    float *expected[OPERATION_WEIGHTS];
    memcpy(expected, o->gradient, sizeof expected);
    for (int i = 0; i < (test_backend_is_cpu() ? 4 : 1); i++) {
        begin_gradients(o, first);
        run_weights(o, inputs, planned[i], threads[i]);
        check_same(o, expected);
        end_gradients(o);
    }
    memcpy(o->gradient, expected, sizeof expected);
}

static void try_weights(const struct trial *t, const enum dtype type[2])
{
    struct operation forward = describe(t, type), o = weights_of(&forward);
    void *inputs[] = {kernel_values(type[0], shape_count(o.input[0].shape), 1, 0.0, 1.0),
                      kernel_values(type[1], shape_count(o.input[1].shape), 2, 0.0, 1.0)};
    float *first[OPERATION_WEIGHTS] = {NULL};
    double *sums[OPERATION_WEIGHTS] = {NULL}, *absolute[OPERATION_WEIGHTS] = {NULL};
    for (int i = 0; i < 2 * t->parts; i++) {
        int64_t count = weight_count(&o.weight[i]);
        first[i] = weights(count, 40 + (uint64_t)i);
        sums[i] = malloc((size_t)count * sizeof *sums[i]);
        absolute[i] = malloc((size_t)count * sizeof *absolute[i]);
    }
    reference_convolution_weights(&o, (const void *const *)inputs, sums, absolute);
    for (int k = 0; kernel_sets[k]; k++) {
        if (simd_select(kernel_sets[k]) || (k && !test_backend_is_cpu()))
            continue;
        begin_gradients(&o, first);
        run_weights(&o, (const void *const *)inputs, 2, 2);
        check_gradients(&o, first, sums, absolute);
        try_weights_threads(&o, (const void *const *)inputs, first);
        end_gradients(&o);
    }
    for (int i = 0; i < 2 * t->parts; i++) {
        free(first[i]);
        free(sums[i]);
        free(absolute[i]);
    }
    free(inputs[0]);
    free(inputs[1]);
    release(&forward);
}

static void test_weights(void **state)
{
    (void)state;
    for (int i = 0; i < TRIALS; i++)
        for (int type = 0; type < 3; type++)
            try_weights(&trials[i], types[type]);
}

/* A gradient that is not wanted leaves the others as they are. */
static void test_unwanted(void **state)
{
    (void)state;
    struct trial t = {1, 1, 6, 7, 5, 6, SAME_2D, .parts = 3};
    struct operation forward = describe(&t, types[0]), o = weights_of(&forward);
    void *inputs[] = {kernel_values(DTYPE_F32, shape_count(o.input[0].shape), 1, 0.0, 1.0),
                      kernel_values(DTYPE_F32, shape_count(o.input[1].shape), 2, 0.0, 1.0)};
    float *first[OPERATION_WEIGHTS];
    for (int i = 0; i < 6; i++)
        first[i] = calloc((size_t)weight_count(&o.weight[i]), sizeof(float));
    begin_gradients(&o, first);
    run_weights(&o, (const void *const *)inputs, 2, 2);
    for (int wanted = 0; wanted < 6; wanted++) {
        struct operation one = o;
        float *gradient = calloc((size_t)weight_count(&o.weight[wanted]), sizeof(float));
        memset(one.gradient, 0, sizeof one.gradient);
        one.gradient[wanted] = gradient;
        run_weights(&one, (const void *const *)inputs, 2, 2);
        assert_memory_equal(gradient, o.gradient[wanted],
                            (size_t)weight_count(&o.weight[wanted]) * sizeof(float));
        free(gradient);
    }
    for (int i = 0; i < 6; i++)
        free(first[i]);
    end_gradients(&o);
    free(inputs[0]);
    free(inputs[1]);
    release(&forward);
}

static double dot(const float *a, const float *b, int64_t count, double *absolute)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
        *absolute += fabs((double)a[i] * b[i]);
    }
    return sum;
}

/* Without bias and mix, which add what is not linear in x. */
static void try_adjoint(const struct trial *t)
{
    struct operation forward = describe(t, types[0]);
    forward.convolution.mix = forward.convolution.residual = false;
    for (int part = 0; part < t->parts; part++)
        forward.weight[2 * part + 1].rank = 0;
    struct operation data = data_of(&forward, false), kernel = weights_of(&forward);
    int64_t in = shape_count(forward.input[0].shape), out = shape_count(forward.output.shape);
    float *x = kernel_values(DTYPE_F32, in, 1, 0.0, 1.0);
    float *dy = kernel_values(DTYPE_F32, out, 2, 0.0, 1.0);
    float *y = kernel_run(&cpu_convolution, &forward, (const void *[]){x});
    float *dx = kernel_run(&cpu_convolution_data, &data, (const void *[]){dy});
    double size = 0.0, by_y = dot(y, dy, out, &size), by_x = dot(x, dx, in, &size), by_kernel = 0.0;
    for (int part = 0; part < t->parts; part++)
        kernel.gradient[2 * part] =
            calloc((size_t)weight_count(&forward.weight[2 * part]), sizeof(float));
    run_weights(&kernel, (const void *[]){x, dy}, 2, 2);
    for (int part = 0; part < t->parts; part++)
        by_kernel += dot(kernel.gradient[2 * part], forward.weight[2 * part].data,
                         weight_count(&forward.weight[2 * part]), &size);
    double products = (double)(taps_of(t) * (t->c + t->out)) + (double)(out / t->out);
    double bound = products * 0x1p-24 * size;
    if (!(fabs(by_y - by_x) <= bound && fabs(by_y - by_kernel) <= bound))
        fail_msg("%g, %g and %g differ by more than %g", by_y, by_x, by_kernel, bound);
    end_gradients(&kernel);
    release(&forward);
    free(x);
    free(y);
    free(dx);
    free(dy);
}

/* With several kernels a transposed convolution, and one to less than 8 channels, which no network
 * has, are the CPU's alone. */
static void test_adjoint(void **state)
{
    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        bool everywhere = trials[i].parts == 1 || (!trials[i].transposed && trials[i].out >= 8);
        for (int k = 0; kernel_sets[k]; k++)
            if (test_backend_is_cpu() ? !simd_select(kernel_sets[k]) : !k && everywhere)
                try_adjoint(&trials[i]);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct operation forward = describe(&trials[0], types[0]);
    struct operation data = data_of(&forward, true), kernel = weights_of(&forward);
    data.input[1].shape.w++;
    kernel_refuses(&cpu_convolution_data, &data, "added");
    data.input[0].shape.h++;
    kernel_refuses(&cpu_convolution_data, &data, "extents");
    kernel.output.shape.c = 2;
    kernel_refuses(&cpu_convolution_weights, &kernel, "one f32");
    kernel.inputs = 1;
    kernel_refuses(&cpu_convolution_weights, &kernel, "x and dy");
    kernel = weights_of(&forward);
    kernel.input[0].shape.c++;
    kernel_refuses(&cpu_convolution_weights, &kernel, "channels");
    release(&forward);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),     cmocka_unit_test(test_weights),
        cmocka_unit_test(test_unwanted), cmocka_unit_test(test_adjoint),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
