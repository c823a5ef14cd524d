#include "lib/engine/plan.h"

#include <stdbool.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

static int64_t aligned(int64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int larger_first(const void *a, const void *b)
{
    const struct plan_block *x = *(struct plan_block *const *)a,
                            *y = *(struct plan_block *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : 1;
}

/* The lowest offset at which `block` fits between the blocks placed so far, which are sorted by
 * offset. */
static int64_t lowest_fit(const struct plan_block *block, struct plan_block **placed, int count)
{
    int64_t offset = 0;
    for (int i = 0; i < count; i++) {
        const struct plan_block *other = placed[i];
        if (other->last < block->first || other->first > block->last)
            continue;
        if (other->offset >= offset + block->bytes)
            break;
        if (other->offset + other->bytes > offset)
            offset = other->offset + other->bytes;
    }
    return offset;
}

int64_t plan_place(struct plan_block *block, int count)
{
    if (!count)
        return 0;
    struct plan_block **order = malloc(2 * (size_t)count * sizeof(struct plan_block *));
    if (!order)
        return -1;
    struct plan_block **placed = order + count;
    for (int i = 0; i < count; i++) {
        block[i].bytes = aligned(block[i].bytes);
        order[i] = &block[i];
    }
    qsort(order, (size_t)count, sizeof order[0], larger_first);
    int64_t arena = 0;
    for (int i = 0; i < count; i++) {
        struct plan_block *b = order[i];
        b->offset = lowest_fit(b, placed, i);
        int at = i;
        for (; at > 0 && placed[at - 1]->offset > b->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = b;
        if (b->offset + b->bytes > arena)
            arena = b->offset + b->bytes;
    }
    free(order);
    return arena;
}

/* The last node that reads each value; the node that makes it where nothing does. */
static void last_uses(const struct graph *graph, int *last)
{
    for (int v = 0; v < graph->values; v++)
        last[v] = graph->value[v].node;
    for (int i = 0; i < graph->nodes; i++)
        for (int k = 0; k < graph->node[i].operation.inputs; k++)
            last[graph->node[i].input[k]] = i;
}

static bool outside(const struct graph_value *value)
{
    return value->input >= 0 || value->output >= 0;
}

/* May node i write over its input k? Only when the input is in the arena, ends here, is read by
 * this node once, and has the output's size. */
static bool may_overwrite(const struct graph *graph, int i, int k, const int *last)
{
    const struct graph_node *node = &graph->node[i];
    int value = node->input[k];
    for (int j = 0; j < node->operation.inputs; j++)
        if (j != k && node->input[j] == value)
            return false;
    return last[value] == i && !outside(&graph->value[value]) &&
           !outside(&graph->value[node->output]) &&
           tensor_bytes(graph->value[value].tensor) == tensor_bytes(node->operation.output);
}

/* Fill block[] and say in owner[v] which block holds value v (−1: none); returns the count. */
static int make_blocks(const struct graph *graph, const struct needs *needs, const int *in_place,
                       const int *last, struct plan_block *block, int *owner, int *workspace)
{
    int count = 0;
    for (int v = 0; v < graph->values; v++)
        owner[v] = -1;
    for (int i = 0; i < graph->nodes; i++) {
        const struct graph_node *node = &graph->node[i];
        int v = node->output, k = in_place[i];
        if (k >= 0 && may_overwrite(graph, i, k, last)) {
            owner[v] = owner[node->input[k]];
            block[owner[v]].last = last[v];
        } else if (!outside(&graph->value[v])) {
            block[count] = (struct plan_block){tensor_bytes(graph->value[v].tensor), 0, i, last[v]};
            owner[v] = count++;
        }
        workspace[i] = -1;
        if (needs[i].workspace) {
            block[count] = (struct plan_block){(int64_t)needs[i].workspace, 0, i, i};
            workspace[i] = count++;
        }
    }
    return count;
}

int plan_create(struct plan *plan, const struct graph *graph, const struct needs *needs,
                const int *in_place, struct error *error)
{
    size_t values = (size_t)graph->values, nodes = (size_t)graph->nodes;
    *plan = (struct plan){0};
    plan->value = calloc(values, sizeof *plan->value);
    plan->workspace = calloc(nodes, sizeof *plan->workspace);
    struct plan_block *block = calloc(values + nodes, sizeof *block);
    int *last = calloc(2 * values + nodes, sizeof *last);
    int status = 0;
    if (!plan->value || !plan->workspace || !block || !last) {
        status = error_set(error, "out of memory");
    } else {
        int *owner = last + values, *workspace = owner + values;
        last_uses(graph, last);
        int count = make_blocks(graph, needs, in_place, last, block, owner, workspace);
        plan->arena = plan_place(block, count);
        if (plan->arena < 0)
            status = error_set(error, "out of memory");
        for (size_t v = 0; v < values; v++)
            plan->value[v] = owner[v] < 0 ? -1 : block[owner[v]].offset;
        for (size_t i = 0; i < nodes; i++)
            plan->workspace[i] = workspace[i] < 0 ? 0 : block[workspace[i]].offset;
    }
    free(block);
    free(last);
    if (status)
        plan_destroy(plan);
    return status;
}

void plan_destroy(struct plan *plan)
{
    free(plan->value);
    free(plan->workspace);
    *plan = (struct plan){0};
}
