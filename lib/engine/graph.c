#include "lib/engine/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph *graph_create(enum dtype activations)
{
    struct graph *graph = calloc(1, sizeof *graph);
    if (graph)
        graph->activations = activations;
    return graph;
}

void graph_destroy(struct graph *graph)
{
    if (!graph)
        return;
    free(graph->node);
    free(graph->value);
    free(graph);
}

/* Bytes of a tensor as 64-bit arithmetic holds them with room for every offset; −1 when not. */
static int64_t checked_bytes(struct tensor t)
{
    int64_t bytes = dtype_size(t.dtype);
    const int64_t extent[] = {t.shape.n, t.shape.d, t.shape.h, t.shape.w, t.shape.c};
    for (int i = 0; i < 5; i++)
        if (extent[i] < 1 || __builtin_mul_overflow(bytes, extent[i], &bytes) ||
            bytes > INT64_MAX / 64)
            return -1;
    return bytes;
}

/* Room for one more element where the count is zero or a power of two. */
static void *grown(void *array, int count, size_t size)
{
    if (count & (count - 1))
        return array;
    return realloc(array, (size_t)(count ? 2 * count : 1) * size);
}

static int add_value(struct graph *graph, struct tensor tensor, struct error *error)
{
    if (checked_bytes(tensor) < 0)
        return error_set(error, "a map of %lld×%lld×%lld×%lld×%lld is empty or too large",
                         (long long)tensor.shape.n, (long long)tensor.shape.d,
                         (long long)tensor.shape.h, (long long)tensor.shape.w,
                         (long long)tensor.shape.c);
    struct graph_value *value = grown(graph->value, graph->values, sizeof *value);
    if (!value)
        return error_set(error, "out of memory");
    graph->value = value;
    value[graph->values] = (struct graph_value){tensor, -1, -1, -1};
    return graph->values++;
}

int graph_input(struct graph *graph, struct tensor tensor, struct error *error)
{
    int value = add_value(graph, tensor, error);
    if (value >= 0)
        graph->value[value].input = graph->inputs++;
    return value;
}

int graph_add(struct graph *graph, const struct operation *operation, const int *input, int inputs,
              const char *name, struct error *error)
{
    struct graph_node *node = grown(graph->node, graph->nodes, sizeof *node);
    if (!node)
        return error_set(error, "out of memory");
    graph->node = node;
    node += graph->nodes;
    *node = (struct graph_node){.operation = *operation};
    node->operation.inputs = inputs;
    for (int i = 0; i < inputs; i++) {
        node->input[i] = input[i];
        node->operation.input[i] = graph->value[input[i]].tensor;
    }
    snprintf(node->name, sizeof node->name, "%s", name);
    int value = add_value(graph, operation->output, error);
    if (value < 0)
        return error_prefix(error, "%s", name);
    node->output = value;
    graph->value[value].node = graph->nodes++;
    return value;
}

int graph_output(struct graph *graph, int value, struct error *error)
{
    if (graph->value[value].input >= 0 || graph->value[value].output >= 0)
        return error_set(error, "a graph's output must be made by a node, and only once");
    graph->value[value].output = graph->outputs++;
    return 0;
}

struct tensor graph_tensor(const struct graph *graph, int value)
{
    return graph->value[value].tensor;
}

/* Of `maps` outputs over `in` channels. */
static double convolution_flops(const struct convolution *c, double in, double maps)
{
    double taps = 1;
    for (int a = 0; a < AXES; a++)
        taps *= c->transposed ? (double)c->kernel[a] / c->stride[a] : c->kernel[a];
    return 2 * maps * in * taps;
}

double graph_node_flops(const struct graph_node *node)
{
    const struct operation *o = &node->operation;
    struct shape in = o->input[0].shape, out = o->output.shape;
    double maps = (double)shape_count(out);
    if (o->kind == OP_CONVOLUTION)
        return convolution_flops(&o->convolution, (double)in.c, maps);
    if (o->kind == OP_CONVOLUTION_PAIR) {
        double between = (double)o->weight[0].shape[0], first = (double)in.n * between;
        for (int a = 0; a < AXES; a++)
            first *= (double)convolution_extent(&o->pair[0], a,
                                                a == AXIS_D   ? in.d
                                                : a == AXIS_H ? in.h
                                                              : in.w);
        return convolution_flops(&o->pair[0], (double)in.c, first) +
               convolution_flops(&o->pair[1], between, maps);
    }
    if (o->kind == OP_LINEAR)
        return 2 * maps * (double)in.c;
    if (o->kind == OP_ATTENTION) {
        double tokens = (double)(in.h * in.w * (o->attention.per_slice ? 1 : in.d));
        return 4 * maps * tokens;
    }
    return 0;
}

double graph_flops(const struct graph *graph)
{
    double sum = 0;
    for (int i = 0; i < graph->nodes; i++)
        sum += graph_node_flops(&graph->node[i]);
    return sum;
}
