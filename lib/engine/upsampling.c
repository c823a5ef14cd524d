#include "lib/engine/upsampling.h"

#include <string.h>

static int count_readers(const struct graph *graph, int value)
{
    int count = 0;
    for (int i = 0; i < graph->nodes; i++)
        for (int k = 0; k < graph->node[i].operation.inputs; k++)
            count += graph->node[i].input[k] == value;
    return count;
}

/* The node whose upsampling a convolution can take over; −1. */
static int find_upsampling(const struct graph *graph, const struct graph_node *node)
{
    const struct graph_value *map = &graph->value[node->input[0]];
    if (node->operation.kind != OP_CONVOLUTION || node->operation.convolution.transposed ||
        map->node < 0 || map->output >= 0 || count_readers(graph, node->input[0]) != 1)
        return -1;
    const struct operation *maker = &graph->node[map->node].operation;
    bool up = (maker->kind == OP_RESAMPLE && maker->resample.resampling == RESAMPLE_UP) ||
              (maker->kind == OP_GROUP_NORM && maker->group_norm.resampling == RESAMPLE_UP);
    return up ? map->node : -1;
}

static void remove_node(struct graph *graph, int node)
{
    graph->value[graph->node[node].output].node = -1;
    graph->nodes--;
    memmove(graph->node + node, graph->node + node + 1,
            (size_t)(graph->nodes - node) * sizeof *graph->node);
    for (int v = 0; v < graph->values; v++)
        graph->value[v].node -= graph->value[v].node > node;
}

static void take_over(struct graph *graph, int convolution, int maker)
{
    struct graph_node *from = &graph->node[maker], *to = &graph->node[convolution];
    bool resample = from->operation.kind == OP_RESAMPLE;
    bool depth = resample ? from->operation.resample.resample_depth
                          : from->operation.group_norm.resample_depth;
    bool *upsampled = to->operation.convolution.upsampled;
    upsampled[AXIS_D] = depth;
    upsampled[AXIS_H] = upsampled[AXIS_W] = true;
    if (resample) {
        to->input[0] = from->input[0];
    } else {
        struct shape small = from->operation.input[0].shape;
        small.c = from->operation.output.shape.c;
        from->operation.group_norm.resampling = RESAMPLE_NONE;
        from->operation.output.shape = graph->value[from->output].tensor.shape = small;
    }
    to->operation.input[0] = graph->value[to->input[0]].tensor;
    if (resample)
        remove_node(graph, maker);
}

void graph_fuse_upsampling(struct graph *graph)
{
    for (int i = 0; i < graph->nodes; i++) {
        int nodes = graph->nodes, maker = find_upsampling(graph, &graph->node[i]);
        if (maker >= 0)
            take_over(graph, i, maker);
        i -= nodes - graph->nodes;
    }
}
