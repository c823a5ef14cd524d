/* Convolutions that read the map before its upsampling, against the plain form. Read where it lies,
 * an upsampled map is the same numbers in the same order, so the bits are the same, except along d,
 * where Winograd adds the weights of two planes before it multiplies. A device adds the weights of
 * all that reads one position (kernels/cuda/convolution_phases.h) where maps are large enough. */
#include "lib/engine/network.h"
#include "lib/engine/upsampling.h"
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

struct trial {
    int64_t d, h, w, c, out;
    int kernel;
    bool depth, norm, bf16, other_reader;
};

static const struct trial trials[] = {
    {.d = 2, .h = 3, .w = 5, .c = 6, .out = 9, .kernel = 3}, /* direct */
    {.d = 2, .h = 3, .w = 2, .c = 8, .out = 4, .kernel = 3, .depth = true, .norm = true},
    {.d = 1, .h = 4, .w = 4, .c = 8, .out = 4, .kernel = 1, .bf16 = true},
    {.d = 1, .h = 8, .w = 9, .c = 32, .out = 20, .kernel = 3, .norm = true}, /* Winograd */
    {.d = 1, .h = 10, .w = 8, .c = 32, .out = 20, .kernel = 3, .bf16 = true},
    {.d = 4, .h = 8, .w = 8, .c = 16, .out = 8, .kernel = 3, .depth = true},
    {.d = 4, .h = 8, .w = 8, .c = 16, .out = 8, .kernel = 3, .depth = true, .norm = true},
    {.d = 2, .h = 3, .w = 5, .c = 6, .out = 9, .kernel = 3, .other_reader = true},
    {.d = 1, .h = 20, .w = 16, .c = 32, .out = 20, .kernel = 3, .bf16 = true}, /* phases */
    {.d = 2, .h = 20, .w = 16, .c = 32, .out = 20, .kernel = 3, .norm = true},
    {.d = 16, .h = 17, .w = 16, .c = 16, .out = 8, .kernel = 3, .depth = true},
};

static const void *of(const struct operation *o, int weight)
{
    return o->weight[weight].data;
}

/* input → group norm or nothing → ×2 → convolution → output. */
static struct graph *make_graph(const struct trial *t, struct operation *upsampling,
                                struct operation *convolution)
{
    struct error error;
    enum dtype dtype = t->bf16 ? DTYPE_BF16 : DTYPE_F32;
    struct graph *graph = graph_create(dtype);
    struct shape small = {2, t->d, t->h, t->w, t->c};
    struct shape large = {2, t->depth ? 2 * t->d : t->d, 2 * t->h, 2 * t->w, t->c};
    int x = graph_input(graph, (struct tensor){small, dtype, CHANNELS_LAST}, &error);
    upsampling->kind = t->norm ? OP_GROUP_NORM : OP_RESAMPLE;
    upsampling->output = (struct tensor){large, dtype, CHANNELS_LAST};
    if (t->norm)
        upsampling->group_norm = (struct group_norm){2,
                                                     1,
                                                     1e-5f,
                                                     .silu = true,
                                                     .per_slice = !t->depth,
                                                     .resampling = RESAMPLE_UP,
                                                     .resample_depth = t->depth};
    else
        upsampling->resample =
            (struct resample){.resampling = RESAMPLE_UP, .resample_depth = t->depth};
    int up = graph_add(graph, upsampling, &x, 1, "up", &error);
    int k = t->kernel, kd = t->depth ? k : 1;
    convolution->kind = OP_CONVOLUTION;
    convolution->convolution = (struct convolution){.kernel = {kd, k, k},
                                                    .stride = {1, 1, 1},
                                                    .pad_front = {kd / 2, k / 2, k / 2},
                                                    .pad_back = {kd / 2, k / 2, k / 2},
                                                    .parts = 1};
    large.c = t->out;
    convolution->output = (struct tensor){large, dtype, CHANNELS_LAST};
    int y = graph_add(graph, convolution, &up, 1, "convolution", &error);
    assert_true(y >= 0);
    assert_int_equal(graph_output(graph, y, &error), 0);
    if (t->other_reader)
        assert_int_equal(graph_output(graph, up, &error), 0);
    return graph;
}

static void run(struct graph *graph, const void *input, void *const *outputs)
{
    struct error error;
    struct network *network;
    assert_int_equal(network_create(&network, graph, test_backend(), &error), 0);
    assert_int_equal(network_run(network, &input, outputs, &error), 0);
    network_destroy(network);
}

/* f32: 27 terms a channel of at most 1·1, norms up to about 4, and Winograd's errors (see
 * test_winograd.c), which are more than those of sums of weights. bf16: each of the 4·c sums of
 * four uniform weights, whose mean square is 4/3, is off by 2^-9 of itself at most, a third of that
 * squared in the mean, and multiplies a number of mean square 1/3. Ten standard deviations of
 * either.
 */
static double bound_of(const struct trial *t)
{
    double c = (double)t->c;
    if (t->bf16)
        return 10.0 * sqrt(4.0 * c * (4.0 / 3.0) / 3.0 / 3.0) * 0x1p-9;
    return 10.0 * sqrt(23.0 * (c * 3.0 / 2.0 + 10.0) / 3.0) * 0x1p-24 * sqrt(3.0 * c) *
           (t->norm ? 4.0 : 1.0);
}

static void compare(const struct trial *t, const void *plain, const void *fused, int64_t count)
{
    enum dtype dtype = t->bf16 ? DTYPE_BF16 : DTYPE_F32;
    if (test_backend_is_cpu() && (!t->depth || t->c < 16)) {
        assert_memory_equal(plain, fused, (size_t)(count * dtype_size(dtype)));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        double a = reference_get(plain, dtype, i), b = reference_get(fused, dtype, i);
        double rounding = t->bf16 ? 0x1p-8 * fmax(fabs(a), fabs(b)) : 0; /* of both */
        assert_true(fabs(a - b) <= bound_of(t) + rounding);
    }
}

static void try(const struct trial *t)
{
    enum dtype dtype = t->bf16 ? DTYPE_BF16 : DTYPE_F32;
    int64_t taps = (t->depth ? t->kernel : 1) * t->kernel * t->kernel;
    struct operation up = {.weights = t->norm ? 2 : 0}, convolution = {.weights = 2};
    convolution.weight[0] =
        (struct weight){kernel_values(dtype, t->out * t->c * taps, 1, 0.0, 1.0),
                        dtype,
                        5,
                        {t->out, t->c, t->depth ? t->kernel : 1, t->kernel, t->kernel},
                        false};
    convolution.weight[1] =
        kernel_weight(kernel_values(DTYPE_F32, t->out, 2, 0.0, 1.0), DTYPE_F32, 1, t->out, 1);
    for (int i = 0; i < up.weights; i++)
        up.weight[i] =
            kernel_weight(kernel_values(DTYPE_F32, t->c, 3, 0.5, 0.5), DTYPE_F32, 1, t->c, 1);
    struct graph *plain = make_graph(t, &up, &convolution);
    struct graph *fused = make_graph(t, &up, &convolution);
    graph_fuse_upsampling(fused);
    const struct operation *last = &fused->node[fused->nodes - 1].operation;
    assert_int_equal(last->convolution.upsampled[AXIS_W], !t->other_reader);
    assert_int_equal(last->convolution.upsampled[AXIS_D], t->depth);
    assert_int_equal(fused->nodes, t->norm || t->other_reader ? 2 : 1);

    int64_t count = shape_count(last->output.shape), wide = 8 * 2 * t->d * t->h * t->w * t->c;
    void *input = kernel_values(dtype, 2 * t->d * t->h * t->w * t->c, 4, 0.0, 1.0);
    void *outputs[] = {malloc((size_t)count * 4), malloc((size_t)wide * 4)};
    void *others[] = {malloc((size_t)count * 4), outputs[1]};
    run(plain, input, outputs);
    run(fused, input, others);
    compare(t, outputs[0], others[0], count);
    for (int i = 0; i < 2; i++) {
        free(outputs[i]);
        free((void *)(uintptr_t)of(&convolution, i));
        if (t->norm)
            free((void *)(uintptr_t)of(&up, i));
    }
    free(others[0]);
    free(input);
}

static void test_fused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        try(&trials[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
