#include "tests/unit/gradient_check.h"
#include "kernels/check_training.h"
#include "kernels/cpu/simd.h"
#include "lib/engine/gradient.h"
#include "lib/engine/network.h"
#include "tests/unit/device.h"
#include "tests/unit/kernel_check.h"
#include "tests/unit/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_EACH_WAY = 2, TENSORS = OPERATION_INPUTS + OPERATION_WEIGHTS };

static const double step = 1.0 / 128.0;

float *gradient_values(int64_t count, uint64_t seed, float offset)
{
    float *values = malloc((size_t)count * sizeof *values);
    uint64_t state = seed * 2 + 1;
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t k = (int64_t)(state >> 33) % 32 - 16;
        values[i] = offset + (float)(2 * k + 1) / 32.0f;
    }
    return values;
}

/* One check: the operation in f32 for the reference, and what the tested kernels get and make. */
struct check {
    const struct operation *operation;
    struct operation reference;
    const float *const *inputs;
    void *given[OPERATION_INPUTS + 1]; /* inputs and dy in their types */
    float *dy;
    int64_t count[TENSORS]; /* elements of inputs, then weights */
    void *gradient[TENSORS];
    float *sums[OPERATION_WEIGHTS]; /* the backend's: what weights' gradients are added to */
    double *expected[TENSORS];
    unsigned wanted;
};

static void *converted(const float *values, enum dtype dtype, int64_t count)
{
    void *to = malloc((size_t)(count * dtype_size(dtype)));
    assert_non_null(to);
    for (int64_t i = 0; i < count; i++)
        reference_set(to, dtype, i, values[i]);
    return to;
}

/* Σ dy·f of the reference. */
static double evaluate(const struct check *c, double *output)
{
    double sum = 0.0;
    reference_run(&c->reference, (const void *const *)c->inputs, output);
    for (int64_t i = 0; i < shape_count(c->reference.output.shape); i++)
        sum += c->dy[i] * output[i];
    return sum;
}

/* The derivative of Σ dy·f by a value of the reference's. */
static double difference(const struct check *c, float *value, double *output)
{
    static const double weight[] = {1.0 / 12.0, -8.0 / 12.0, 8.0 / 12.0, -1.0 / 12.0};
    static const int steps[] = {-2, -1, 1, 2};
    float middle = *value;
    double sum = 0.0;
    for (int i = 0; i < 2 * STEPS_EACH_WAY; i++) {
        *value = (float)((double)middle + steps[i] * step);
        sum += weight[i] * evaluate(c, output) / step;
    }
    *value = middle;
    return sum;
}

static float *values_of(const struct check *c, int tensor)
{
    return (float *)(uintptr_t)(tensor < OPERATION_INPUTS
                                    ? (const void *)c->inputs[tensor]
                                    : c->operation->weight[tensor - OPERATION_INPUTS].data);
}

static bool is_wanted(const struct check *c, int tensor)
{
    return c->count[tensor] && (c->wanted >> tensor & 1);
}

static void start(struct check *c, const struct operation *o, const float *const *inputs,
                  unsigned wanted)
{
    int64_t out = shape_count(o->output.shape);
    *c = (struct check){.operation = o, .reference = *o, .inputs = inputs, .wanted = wanted};
    c->reference.output.dtype = DTYPE_F32;
    for (int i = 0; i < o->inputs; i++) {
        c->reference.input[i].dtype = DTYPE_F32;
        c->count[i] = shape_count(o->input[i].shape);
        c->given[i] = converted(inputs[i], o->input[i].dtype, c->count[i]);
    }
    c->dy = gradient_values(out, 77, 0.0f);
    c->given[o->inputs] = converted(c->dy, o->output.dtype, out);
    for (int i = 0; i < o->weights; i++)
        c->count[OPERATION_INPUTS + i] = weight_elements(&o->weight[i]);
    double *output = malloc((size_t)out * sizeof *output);
    assert_non_null(output);
    for (int t = 0; t < TENSORS; t++) {
        c->gradient[t] = calloc((size_t)c->count[t] + 1, sizeof(float));
        c->expected[t] = calloc((size_t)c->count[t] + 1, sizeof(double));
        assert_non_null(c->gradient[t]);
        assert_non_null(c->expected[t]);
        for (int64_t i = 0; is_wanted(c, t) && i < c->count[t]; i++)
            c->expected[t][i] = difference(c, values_of(c, t) + i, output);
    }
    free(output);
}

/* The operation and its gradients as a network; the wanted inputs' gradients are its outputs. */
static struct network *build(const struct check *c)
{
    struct graph *graph = graph_create(c->operation->output.dtype);
    struct operation o = *c->operation;
    struct error error = {""};
    struct network *network = NULL;
    int input[OPERATION_INPUTS], wanted[OPERATION_INPUTS], gradient[OPERATION_INPUTS], count = 0;
    assert_non_null(graph);
    for (int i = 0; i < o.inputs; i++) {
        input[i] = graph_input(graph, o.input[i], &error);
        if (is_wanted(c, i))
            wanted[count++] = input[i];
    }
    for (int i = 0; i < o.weights; i++)
        o.gradient[i] = c->sums[i];
    struct gradient_seed seed = {.gradient = graph_input(graph, o.output, &error)};
    seed.value = graph_add(graph, &o, input, o.inputs, "tested", &error);
    struct gradient_request request = {&seed, 1, 0, wanted, count};
    if (graph_differentiate(graph, &request, gradient, &error))
        fail_msg("%s", error.text);
    for (int i = 0; i < count; i++)
        if (gradient[i] < 0 || graph_output(graph, gradient[i], &error))
            fail_msg("input %d has no gradient: %s", i, error.text);
    if (network_create_training(&network, graph, test_backend(), 0, &error))
        fail_msg("%s", error.text);
    return network;
}

/* Bytes of the gradient of weight i; 0: not wanted. */
static size_t sums_bytes(const struct check *c, int i)
{
    int t = OPERATION_INPUTS + i;
    return is_wanted(c, t) ? (size_t)c->count[t] * sizeof(float) : 0;
}

/* Zeros in the backend's memory, and back to the host's. */
static void begin_sums(struct check *c)
{
    for (int i = 0; i < OPERATION_WEIGHTS; i++) {
        c->sums[i] = NULL;
        if (sums_bytes(c, i))
            c->sums[i] = test_backend()->allocate(sums_bytes(c, i));
        if (c->sums[i])
            test_copy_in(c->sums[i], c->gradient[OPERATION_INPUTS + i], sums_bytes(c, i));
    }
}

static void end_sums(struct check *c)
{
    for (int i = 0; i < OPERATION_WEIGHTS; i++)
        if (c->sums[i]) {
            test_copy_out(c->gradient[OPERATION_INPUTS + i], c->sums[i], sums_bytes(c, i));
            test_backend()->release(c->sums[i], sums_bytes(c, i));
        }
}

static void run(struct check *c, int threads)
{
    struct error error;
    void *outputs[OPERATION_INPUTS];
    int count = 0;
    omp_set_num_threads(threads);
    for (int t = 0; t < TENSORS; t++) {
        memset(c->gradient[t], 0, (size_t)c->count[t] * sizeof(float));
        if (t < c->operation->inputs && is_wanted(c, t))
            outputs[count++] = c->gradient[t];
    }
    begin_sums(c);
    struct network *network = build(c);
    if (network_run(network, (const void *const *)c->given, outputs, &error))
        fail_msg("%s", error.text);
    network_destroy(network);
    end_sums(c);
}

static enum dtype gradient_type(const struct check *c, int tensor)
{
    return tensor < c->operation->inputs ? c->operation->input[tensor].dtype : DTYPE_F32;
}

static void compare(const struct check *c, double tolerance)
{
    for (int t = 0; t < TENSORS; t++) {
        double largest = 0.0;
        for (int64_t i = 0; i < c->count[t]; i++)
            largest = fmax(largest, fabs(c->expected[t][i]));
        for (int64_t i = 0; is_wanted(c, t) && i < c->count[t]; i++) {
            double got = reference_get(c->gradient[t], gradient_type(c, t), i);
            if (!(fabs(got - c->expected[t][i]) <= tolerance * largest))
                fail_msg("%s: gradient %lld of tensor %d is %.9g, not %.9g (largest %.3g)",
                         simd()->name, (long long)i, t, got, c->expected[t][i], largest);
        }
    }
}

/* The bits of all gradients are the same for any number of threads. */
static void check_threads(struct check *c)
{
    void *kept[TENSORS];
    for (int t = 0; t < TENSORS; t++) {
        kept[t] = malloc((size_t)(c->count[t] + 1) * sizeof(float));
        memcpy(kept[t], c->gradient[t], (size_t)c->count[t] * sizeof(float));
    }
    for (int threads = 1; threads <= (test_backend_is_cpu() ? 3 : 1); threads++) {
        run(c, threads);
        for (int t = 0; t < TENSORS; t++)
            if (memcmp(kept[t], c->gradient[t], (size_t)c->count[t] * sizeof(float)))
                fail_msg("%s: other bits of tensor %d for %d threads", simd()->name, t, threads);
    }
    for (int t = 0; t < TENSORS; t++)
        free(kept[t]);
}

void gradient_check(const struct operation *o, const float *const *inputs, unsigned wanted,
                    double tolerance)
{
    struct check c;
    start(&c, o, inputs, wanted);
    for (int i = 0; kernel_sets[i]; i++) {
        if (simd_select(kernel_sets[i]) || (i && !test_backend_is_cpu()))
            continue;
        run(&c, 2);
        compare(&c, o->input[0].dtype == DTYPE_BF16 ? 0x1p-7 : tolerance);
        check_threads(&c);
    }
    for (int i = 0; i <= o->inputs; i++)
        free(c.given[i]);
    for (int t = 0; t < TENSORS; t++) {
        free(c.gradient[t]);
        free(c.expected[t]);
    }
    free(c.dy);
}
