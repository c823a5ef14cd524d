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

int graph_find(const struct graph *graph, const char *name)
{
    for (int i = 0; i < graph->nodes; i++)
        if (!strcmp(graph->node[i].name, name))
            return i;
    return -1;
}

/* Of `maps` outputs over `in` channels. */
static double convolution_flops(const struct convolution *c, double in, double maps)
{
    double taps = 1;
    for (int a = 0; a < AXES; a++)
        taps *= c->transposed ? (double)c->kernel[a] / c->stride[a] : c->kernel[a];
    return 2 * maps * in * taps;
}

static double pair_flops(const struct operation *o)
{
    struct shape in = o->input[0].shape;
    double between = (double)o->weight[0].shape[0], first = (double)in.n * between;
    const int64_t extent[AXES] = {in.d, in.h, in.w};
    for (int a = 0; a < AXES; a++)
        first *= (double)convolution_extent(&o->pair[0], a, extent[a]);
    return convolution_flops(&o->pair[0], (double)in.c, first) +
           convolution_flops(&o->pair[1], between, (double)shape_count(o->output.shape));
}

/* So many products of tokens × tokens × width in each head. */
static double attention_flops(const struct attention *a, struct shape out, int products)
{
    double tokens = (double)(out.h * out.w * (a->per_slice ? 1 : out.d));
    return 2 * products * (double)shape_count(out) * tokens;
}

double graph_node_flops(const struct graph_node *node)
{
    const struct operation *o = &node->operation;
    struct shape in = o->input[0].shape, out = o->output.shape;
    double read = (double)shape_count(in), maps = (double)shape_count(out);
    switch (o->kind) {
    case OP_CONVOLUTION:
        return convolution_flops(&o->convolution, (double)in.c, maps);
    case OP_CONVOLUTION_PAIR:
        return pair_flops(o);
    case OP_CONVOLUTION_DATA:
        return convolution_flops(&o->convolution, (double)out.c, read);
    case OP_CONVOLUTION_WEIGHTS:
        return convolution_flops(&o->convolution, (double)in.c,
                                 (double)shape_count(o->input[1].shape));
    case OP_LINEAR:
    case OP_LINEAR_DATA:
        return 2 * maps * (double)in.c;
    case OP_LINEAR_WEIGHTS:
        return 2 * read * (double)o->input[1].shape.c;
    case OP_ATTENTION:
        return attention_flops(&o->attention, out, 2);
    case OP_ATTENTION_DATA:
        return attention_flops(&o->attention, o->input[1].shape, 7);
    default:
        return 0;
    }
}

double graph_flops(const struct graph *graph)
{
    double sum = 0;
    for (int i = 0; i < graph->nodes; i++)
        sum += graph_node_flops(&graph->node[i]);
    return sum;
}
