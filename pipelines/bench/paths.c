#include "pipelines/bench/paths.h"
#include "kernels/cpu/convert.h"
#include "lib/core/random.h"
#include "pipelines/bench/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = 96, SAMPLES = 4096 };

/* Layers of one shape that take the same algorithm. */
struct path {
    char label[LABEL]; /* the shape, as columns of the table */
    const char *algorithm;
    int first, layers; /* node of the first one */
    double seconds, flops;
};

static void describe(const struct operation *o, char label[LABEL])
{
    const struct convolution *c = &o->convolution;
    struct shape in = o->input[0].shape, out = o->output.shape;
    const char *kind = c->transposed ? " t" : c->upsampled[AXIS_W] ? " up" : "";
    char map[32], channels[24], kernel[24];
    snprintf(map, sizeof map, "%lldx%lldx%lld", (long long)(in.n * in.d), (long long)in.h,
             (long long)in.w);
    snprintf(channels, sizeof channels, "%lld > %lld", (long long)in.c, (long long)out.c);
    snprintf(kernel, sizeof kernel, "%dx%dx%d%s", c->kernel[AXIS_D], c->kernel[AXIS_H],
             c->kernel[AXIS_W], kind);
    snprintf(label, LABEL, "%-11s | %-12s | %-8s | %d,%d,%d ", map, channels, kernel,
             c->stride[AXIS_D], c->stride[AXIS_H], c->stride[AXIS_W]);
}

/* The kernel's state for an operation, and its needs. */
static void *create(struct filter *filter, const struct operation *o, struct needs *needs)
{
    void *state;
    int in_place;
    const char *why = backend_cpu()->kernel[OP_CONVOLUTION]->create(o, &state, needs, &in_place);
    if (why)
        filter_fail(filter, "%s", why);
    return state;
}

static const char *algorithm_of(struct filter *filter, const struct operation *o)
{
    struct needs needs;
    backend_cpu()->kernel[OP_CONVOLUTION]->destroy(create(filter, o, &needs));
    return needs.algorithm ? needs.algorithm : "-";
}

/* All distinct shapes; returns how many. */
static int collect(struct filter *filter, const struct graph *graph, const double *seconds,
                   struct path *path)
{
    int paths = 0;
    for (int i = 0; i < graph->nodes; i++) {
        const struct operation *o = &graph->node[i].operation;
        if (o->kind != OP_CONVOLUTION)
            continue;
        struct path this = {.first = i};
        describe(o, this.label);
        this.algorithm = algorithm_of(filter, o);
        int k = 0;
        while (k < paths &&
               (strcmp(path[k].label, this.label) || strcmp(path[k].algorithm, this.algorithm)))
            k++;
        if (k == paths)
            path[paths++] = this;
        path[k].layers++;
        path[k].seconds += seconds[i];
        path[k].flops += graph_node_flops(&graph->node[i]);
    }
    return paths;
}

/* Standard normals, the same few millions again and again; the period is prime, so that pixels do
 * not repeat. */
static void fill(struct filter *filter, struct tensor tensor, void *data)
{
    const int64_t period = 4194301;
    int64_t count = shape_count(tensor.shape), size = dtype_size(tensor.dtype);
    int64_t fresh = count < period ? count : period;
    float *normal = filter_allocate(filter, fresh, sizeof *normal);
    random_normal(&(struct random_key){.stage = RANDOM_NOISE}, normal, fresh);
    if (tensor.dtype == DTYPE_BF16)
        f32_to_bf16(normal, data, fresh);
    else
        memcpy(data, normal, (size_t)(fresh * size));
    for (int64_t done = fresh; done < count; done += fresh)
        memcpy((char *)data + done * size, data,
               (size_t)((count - done < fresh ? count - done : fresh) * size));
    free(normal);
}

/* The rms difference between outputs and the sums in double over the rms of these. */
static double rms_error(struct filter *filter, const struct operation *o, const void *input,
                        const void *output)
{
    struct reference *reference = reference_open(o, input);
    if (!reference)
        filter_fail(filter, "out of memory");
    double squares = 0, differences = 0;
    int64_t count = shape_count(o->output.shape);
    uint32_t word[SAMPLES][4];
    for (int i = 0; i < SAMPLES; i++)
        random_block(&(struct random_key){.stage = RANDOM_NOISE, .slice = 1}, (uint64_t)i, word[i]);
#pragma omp parallel for reduction(+ : squares, differences) schedule(dynamic, 16)
    for (int i = 0; i < SAMPLES; i++) {
        int64_t at = (int64_t)(((uint64_t)word[i][0] << 31 | word[i][1] >> 1) % (uint64_t)count);
        float buffer, value = *activation_to_f32(output, o->output.dtype, at, 1, &buffer);
        double expected = reference_output(reference, at);
        squares += expected * expected;
        differences += (value - expected) * (value - expected);
    }
    reference_close(reference);
    return sqrt(differences / squares);
}

/* Run one layer by itself: its sums, without a batch norm or ReLU; what it adds its result to is
 * zero. */
static double layer_error(struct filter *filter, const struct operation *layer)
{
    struct operation sums = *layer;
    const struct operation *o = &sums;
    sums.convolution.norm_epsilon = 0;
    sums.convolution.relu = false;
    enum { INPUT, OUTPUT, PREPARED, SCRATCH, WORKSPACE, BLOCKS };
    const struct backend *backend = backend_cpu();
    const struct kernel *kernel = backend->kernel[OP_CONVOLUTION];
    struct needs needs;
    void *state = create(filter, o, &needs), *block[BLOCKS];
    const size_t bytes[BLOCKS] = {(size_t)tensor_bytes(o->input[0]),
                                  (size_t)tensor_bytes(o->output), needs.prepared, needs.scratch,
                                  needs.workspace};
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = bytes[i] ? backend->allocate(bytes[i]) : NULL;
        if (bytes[i] && !block[i])
            filter_fail(filter, "out of memory: %zu bytes", bytes[i]);
    }
    const void *inputs[] = {block[INPUT], block[OUTPUT]};
    fill(filter, o->input[0], block[INPUT]);
    const char *why = kernel->prepare(state, o, block[PREPARED], block[SCRATCH]);
    if (!why)
        why = kernel->run(state, inputs, block[OUTPUT], block[WORKSPACE]);
    if (why)
        filter_fail(filter, "%s", why);
    double error = rms_error(filter, o, block[INPUT], block[OUTPUT]);
    kernel->destroy(state);
    for (int i = 0; i < BLOCKS; i++)
        if (block[i])
            backend->release(block[i], bytes[i]);
    return error;
}

static const char *precision_name(enum dtype dtype)
{
    return dtype == DTYPE_BF16 ? "bf16" : "fp32";
}

static int slower_first(const void *a, const void *b)
{
    const struct path *x = a, *y = b;
    return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : x->first - y->first;
}

void paths_report(struct filter *filter, const char *network, const struct graph *graph,
                  const double *seconds)
{
    struct path *path = filter_allocate(filter, graph->nodes, sizeof *path);
    int paths = collect(filter, graph, seconds, path);
    double whole = 0;
    for (int i = 0; i < graph->nodes; i++)
        whole += seconds[i];
    qsort(path, (size_t)paths, sizeof *path, slower_first);
    for (int k = 0; k < paths; k++) {
        const struct path *p = &path[k];
        const struct operation *o = &graph->node[p->first].operation;
        printf("| %-11s | %-9s | %s | %6d | %-8s %s | %7.1f | %6.2f | %9.1e |\n", network,
               precision_name(graph->activations), p->label, p->layers, p->algorithm,
               precision_name(o->input[0].dtype), p->flops / p->seconds * 1e-9,
               100 * p->seconds / whole, layer_error(filter, o));
        fflush(stdout);
    }
    free(path);
}
