/* The memory plan: where every value and every workspace lies in one arena. */
#ifndef OCTPIPE_ENGINE_PLAN_H
#define OCTPIPE_ENGINE_PLAN_H

#include "lib/engine/graph.h"

/* A block of the arena that is needed from node `first` to node `last`, both included. */
struct plan_block {
    int64_t bytes, offset;
    int first, last;
};

/* Give every block an offset (a multiple of 64) so that blocks whose spans meet do not overlap.
 * The largest block is placed first, each at the lowest offset that is free for its whole span.
 * Returns the size of the arena, or −1 when memory is out. */
int64_t plan_place(struct plan_block *block, int count);

struct plan {
    int64_t arena;      /* bytes */
    int64_t *value;     /* offset of each value; −1: outside the arena (inputs, outputs) */
    int64_t *workspace; /* offset of each node's workspace */
};

/* Plan a graph. needs and in_place come from the kernels, one a node: with in_place[i] = k ≥ 0
 * node i may write over its input k when nothing reads that input afterwards. */
int plan_create(struct plan *plan, const struct graph *graph, const struct needs *needs,
                const int *in_place, struct error *error);
void plan_destroy(struct plan *plan);

#endif
