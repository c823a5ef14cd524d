#include "lib/engine/recompute.h"

#include <stdbool.h>
#include <stdlib.h>

static int64_t node_bytes(const struct graph *graph, int node)
{
    return tensor_bytes(graph->value[graph->node[node].output].tensor);
}

/* crossing[i]: bytes that forward nodes before i hand on to forward nodes from i on. */
static void count_crossing(const struct graph *graph, int *last, int64_t *crossing)
{
    for (int i = 0; i < graph->forward; i++) {
        last[i] = i;
        for (int k = 0; k < graph->node[i].operation.inputs; k++) {
            int maker = graph->value[graph->node[i].input[k]].node;
            if (maker >= 0)
                last[maker] = i;
        }
    }
    for (int i = 0; i <= graph->forward; i++)
        crossing[i] = 0;
    for (int i = 0; i < graph->forward; i++)
        if (last[i] > i) {
            crossing[i + 1] += node_bytes(graph, i);
            crossing[last[i] + 1] -= node_bytes(graph, i);
        }
    for (int i = 0; i < graph->forward; i++)
        crossing[i + 1] += crossing[i];
}

/* The node from `first` on, of those with about `ideal` bytes before them, where fewest cross. */
static int best_cut(const struct graph *graph, const int64_t *crossing, int first, int64_t ideal,
                    int64_t tolerance)
{
    int64_t before = 0;
    int best = -1;
    for (int i = 0; i < graph->forward; before += node_bytes(graph, i++)) {
        int64_t off = before < ideal ? ideal - before : before - ideal;
        if (i >= first && off <= tolerance && (best < 0 || crossing[i] < crossing[best]))
            best = i;
    }
    return best;
}

int recompute_cut(const struct graph *graph, int segments, int *cut)
{
    size_t nodes = (size_t)graph->forward;
    int *last = calloc(nodes + 1, sizeof *last), count = 1;
    int64_t *crossing = calloc(nodes + 2, sizeof *crossing), all = 0;
    cut[0] = 0;
    if (last && crossing) {
        count_crossing(graph, last, crossing);
        for (int i = 0; i < graph->forward; i++)
            all += node_bytes(graph, i);
        for (int k = 1; k < segments; k++) {
            int64_t share = all / segments;
            int node = best_cut(graph, crossing, cut[count - 1] + 1, k * share, share / 4);
            if (node >= 0)
                cut[count++] = node;
        }
        cut[count] = graph->forward;
    }
    bool failed = !last || !crossing;
    free(last);
    free(crossing);
    return failed ? -1 : count;
}

/* A graph being made from another. */
struct remake {
    const struct graph *from;
    struct graph *to;
    struct error *error;
    const int *cut;
    int again;
    bool *inner;  /* of each value of `from`: made again and not kept? */
    bool *needed; /* inner values that a gradient reads, or that lead to one */
    int *first;   /* of each value of `from`: the value of `to` made first, */
    int *second;  /* and the one made again, −1 until then */
    int *origin;
};

/* The segment to make again that makes a value; −1: none. */
static int segment_of(const struct remake *r, int value)
{
    int node = r->from->value[value].node;
    for (int k = 0; k < r->again; k++)
        if (node >= r->cut[k] && node < r->cut[k + 1])
            return k;
    return -1;
}

static void mark_inner(struct remake *r)
{
    const struct graph *g = r->from;
    for (int v = 0; v < g->values; v++)
        r->inner[v] = segment_of(r, v) >= 0 && g->value[v].output < 0;
    for (int i = 0; i < g->forward; i++)
        for (int k = 0; k < g->node[i].operation.inputs; k++) {
            int v = g->node[i].input[k];
            if (segment_of(r, v) != segment_of(r, g->node[i].output))
                r->inner[v] = false;
        }
    for (int i = g->nodes - 1; i >= 0; i--)
        for (int k = 0; k < g->node[i].operation.inputs; k++)
            if (i >= g->forward || r->needed[g->node[i].output])
                r->needed[g->node[i].input[k]] |= r->inner[g->node[i].input[k]];
}

static int copy_node(struct remake *r, int i, bool again)
{
    const struct graph_node *node = &r->from->node[i];
    int input[OPERATION_INPUTS];
    for (int k = 0; k < node->operation.inputs; k++) {
        int v = node->input[k];
        input[k] =
            (again || i >= r->from->forward) && r->second[v] >= 0 ? r->second[v] : r->first[v];
    }
    int made =
        graph_add(r->to, &node->operation, input, node->operation.inputs, node->name, r->error);
    if (made < 0)
        return -1;
    (again ? r->second : r->first)[node->output] = made;
    r->origin[r->to->nodes - 1] = i;
    return 0;
}

/* Make again the segments whose inner values node i reads. */
static int make_again(struct remake *r, int i)
{
    for (int k = 0; k < r->from->node[i].operation.inputs; k++) {
        int v = r->from->node[i].input[k];
        if (!r->inner[v] || r->second[v] >= 0)
            continue;
        int segment = segment_of(r, v);
        for (int j = r->cut[segment]; j < r->cut[segment + 1]; j++)
            if (r->needed[r->from->node[j].output] && copy_node(r, j, true))
                return -1;
    }
    return 0;
}

static int remake(struct remake *r)
{
    const struct graph *g = r->from;
    for (int v = 0; v < g->values; v++)
        r->first[v] = r->second[v] = -1;
    for (int i = 0; i < g->inputs; i++)
        for (int v = 0; v < g->values; v++)
            if (g->value[v].input == i &&
                (r->first[v] = graph_input(r->to, g->value[v].tensor, r->error)) < 0)
                return -1;
    mark_inner(r);
    for (int i = 0; i < g->nodes; i++)
        if ((i >= g->forward && make_again(r, i)) || copy_node(r, i, false))
            return -1;
    for (int i = 0; i < g->outputs; i++)
        for (int v = 0; v < g->values; v++)
            if (g->value[v].output == i && graph_output(r->to, r->first[v], r->error))
                return -1;
    r->to->forward = g->forward;
    return 0;
}

struct graph *recompute_graph(const struct graph *graph, const int *cut, int again, int **origin,
                              struct error *error)
{
    size_t values = (size_t)graph->values;
    struct remake r = {.from = graph, .error = error, .cut = cut, .again = again};
    r.to = graph_create(graph->activations);
    r.inner = calloc(2 * values, sizeof *r.inner);
    r.first = calloc(2 * values, sizeof *r.first);
    r.origin = calloc((size_t)(graph->nodes + graph->forward), sizeof *r.origin);
    bool made = r.to && r.inner && r.first && r.origin;
    if (!made) {
        error_set(error, "out of memory");
    } else {
        r.needed = r.inner + values;
        r.second = r.first + values;
        made = remake(&r) == 0;
    }
    free(r.inner);
    free(r.first);
    if (!made) {
        graph_destroy(r.to);
        free(r.origin);
        return NULL;
    }
    *origin = r.origin;
    return r.to;
}
