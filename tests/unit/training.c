#include "tests/unit/training.h"
#include "lib/engine/gradient.h"
#include "lib/engine/upsampling.h"
#include "tests/unit/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* fp32 sums of a few thousand products through some twenty layers (tests/unit/test_networks.c). */
static const double value_tolerance[] = {2e-5, 2e-2}; /* f32, bf16 */
static const double gradient_tolerance[] = {1e-4, 0.2};

static const char gradient_prefix[] = "out.grad.";

static void check(const struct training *t, int status)
{
    if (status)
        fail_msg("%s", t->error.text);
}

void training_open(struct training *t, const char *path)
{
    *t = (struct training){0};
    check(t, safetensors_open(&t->file, path, &t->error));
    check(t, weights_open(&t->weights, path, false, &t->error));
    t->parameters = parameters_create(test_backend());
    assert_non_null(t->parameters);
    weights_train(t->weights, t->parameters);
}

static void forget(struct training *t)
{
    network_destroy(t->network);
    t->network = NULL;
    for (int i = 0; i < t->inputs; i++)
        free(t->input[i].data);
    for (int i = 0; i < t->outputs; i++)
        free(t->output[i].data);
    t->inputs = t->outputs = 0;
}

void training_close(struct training *t)
{
    forget(t);
    parameters_destroy(t->parameters);
    weights_close(t->weights);
    safetensors_close(&t->file);
}

void training_begin(struct training *t, enum dtype activations)
{
    forget(t);
    t->builder = (struct builder){graph_create(activations), t->weights, &t->error, false};
    assert_non_null(t->builder.graph);
}

/* A golden's tensor as a value of the graph, without data. */
static struct training_value value_of(const struct safetensor *x, const char *name, bool slices)
{
    const int64_t *s = x->shape;
    struct training_value v = {.name = name, .n = 1, .c = 1, .d = 1, .rest = golden_count(x)};
    if (x->rank < 4)
        return v;
    v.rest = s[x->rank - 2] * s[x->rank - 1];
    v.c = s[1];
    if (slices || x->rank == 4)
        v.n = s[0];
    if (x->rank == 5) {
        v.n = s[0];
        v.d = s[2];
    }
    return v;
}

int training_input(struct training *t, const char *name, bool slices)
{
    const struct safetensor *x = golden_tensor(&t->file, name);
    struct training_value v = value_of(x, name, slices);
    v.data = golden_swapped(x->data, v.n, v.c, v.d, v.rest);
    t->input[t->inputs++] = v;
    return layer_input(&t->builder, slices ? 1 : v.n, slices ? v.n : v.d, v.c,
                       x->shape[x->rank - 2], x->shape[x->rank - 1]);
}

int training_numbers(struct training *t, const char *name)
{
    const struct safetensor *x = safetensors_find(&t->file, name);
    assert_non_null(x);
    assert_int_equal(x->dtype, DTYPE_I64);
    struct training_value v = value_of(x, name, false);
    v.data = malloc((size_t)v.rest * sizeof *v.data);
    assert_non_null(v.data);
    for (int64_t i = 0; i < v.rest; i++)
        v.data[i] = (float)((const int64_t *)x->data)[i];
    t->input[t->inputs++] = v;
    return layer_timesteps(&t->builder, v.rest);
}

void training_output(struct training *t, int value, const char *name, bool slices)
{
    check(t, t->builder.failed ? -1 : 0);
    struct tensor tensor = graph_tensor(t->builder.graph, value);
    struct training_value v = value_of(golden_tensor(&t->file, name), name, slices);
    if (shape_count(tensor.shape) == 1 || tensor.layout == SLICE_MAJOR)
        layer_scalar_output(&t->builder, value);
    else
        layer_output(&t->builder, value);
    v.data = calloc((size_t)shape_count(tensor.shape), sizeof *v.data);
    assert_non_null(v.data);
    assert_int_equal(shape_count(tensor.shape), v.n * v.c * v.d * v.rest);
    t->output[t->outputs++] = v;
}

void training_differentiate(struct training *t, int loss, int wanted, const char *name, bool slices)
{
    check(t, t->builder.failed ? -1 : 0);
    struct gradient_seed seed = {loss, -1};
    struct gradient_request request = {&seed, 1, 0, &wanted, name ? 1 : 0};
    int gradient = -1;
    graph_fuse_upsampling(t->builder.graph);
    check(t, graph_differentiate(t->builder.graph, &request, &gradient, &t->error));
    if (name)
        training_output(t, gradient, name, slices);
}

void training_run(struct training *t, int64_t memory)
{
    const void *inputs[TRAINING_VALUES];
    void *outputs[TRAINING_VALUES];
    check(t, t->builder.failed ? -1 : 0);
    for (int i = 0; i < t->inputs; i++)
        inputs[i] = t->input[i].data;
    for (int i = 0; i < t->outputs; i++)
        outputs[i] = t->output[i].data;
    check(t, network_create_training(&t->network, t->builder.graph, test_backend(), memory,
                                     &t->error));
    parameters_clear_gradients(t->parameters);
    check(t, network_run(t->network, inputs, outputs, &t->error));
}

static double norm(const float *x, const float *y, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += pow((double)x[i] - (y ? (double)y[i] : 0.0), 2.0);
    return sqrt(sum);
}

static bool is_gradient(const char *name)
{
    return !strncmp(name, gradient_prefix, strlen(gradient_prefix));
}

static double largest_norm(const struct training *t)
{
    double largest = 0.0;
    for (int64_t i = 0; i < t->file.count; i++)
        if (is_gradient(t->file.tensor[i].name))
            largest =
                fmax(largest, norm(t->file.tensor[i].data, NULL, golden_count(&t->file.tensor[i])));
    return largest;
}

/* The gradient of the parameter that the golden calls `key`, under whatever prefix; NULL where it
 * has none, else the caller frees. */
static float *gradient_of(const struct training *t, const char *key)
{
    for (int64_t i = 0; i < t->parameters->count; i++) {
        const struct parameter *p = t->parameters->list[i];
        size_t length = strlen(p->name), tail = strlen(key);
        if (length > tail && p->name[length - tail - 1] == '.' &&
            !strcmp(p->name + length - tail, key) && p->gradient) {
            float *gradient = malloc((size_t)p->count * sizeof *gradient);
            assert_non_null(gradient);
            test_copy_out(gradient, p->gradient, (size_t)p->count * sizeof *gradient);
            return gradient;
        }
    }
    return NULL;
}

int training_compare(struct training *t, bool parameters)
{
    double largest = largest_norm(t), worst = 0.0;
    int gradients = 0, type = network_graph(t->network)->activations == DTYPE_BF16;
    for (int i = 0; i < t->outputs; i++) {
        const struct training_value *v = &t->output[i];
        const struct safetensor *expected = golden_tensor(&t->file, v->name);
        float *got = golden_swapped(v->data, v->n, v->d, v->c, v->rest);
        if (!is_gradient(v->name))
            golden_compare(v->name, got, expected->data, golden_count(expected),
                           value_tolerance[type]);
        else
            worst = fmax(worst, norm(got, expected->data, golden_count(expected)) / largest);
        gradients += is_gradient(v->name);
        free(got);
    }
    for (int64_t i = 0; parameters && i < t->file.count; i++) {
        const struct safetensor *expected = &t->file.tensor[i];
        float *got = is_gradient(expected->name)
                         ? gradient_of(t, expected->name + strlen(gradient_prefix))
                         : NULL;
        if (!got)
            continue;
        double error = norm(got, expected->data, golden_count(expected)) / largest;
        free(got);
        if (!(error <= gradient_tolerance[type]))
            fail_msg("%s: off by %.2e of the largest gradient's norm", expected->name, error);
        worst = fmax(worst, error);
        gradients++;
    }
    printf("    %d gradients, off by at most %.1e of the largest norm %.3g\n", gradients, worst,
           largest);
    assert_true(worst <= gradient_tolerance[type]);
    return gradients;
}
