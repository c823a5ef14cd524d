/* Inside of a network: what creates it and what runs it share. */
#ifndef OCTPIPE_ENGINE_NETWORK_PARTS_H
#define OCTPIPE_ENGINE_NETWORK_PARTS_H

#include "lib/engine/network.h"
#include "lib/engine/plan.h"

#include <stdbool.h>

struct network {
    struct graph *graph;
    const struct backend *backend;
    struct plan plan;
    struct needs *needs;
    int *in_place;
    void **state;
    int64_t *prepared; /* offset of each node's packed weights; training: within its workspace */
    bool training;
    struct network_memory memory;
    char *weights, *arena;
    int64_t outside, outside_bytes; /* where inputs and outputs lie in a queue's arena */
    bool tried;                     /* has run once, node by node */
    void *recording;
    bool unrecorded; /* there can be no recording */
    /* Calls: at most so many at once, the number of the oldest, those that have been started and
     * not finished, and the mark of each. With several, inputs and outputs have second places in
     * the arena, outside_bytes further on. */
    int calls, oldest, started;
    void *mark[NETWORK_CALLS];
};

const struct kernel *network_kernel(const struct network *network, int node);

/* "name (n×d×h×w×c): reason": an operation's trouble with the shape it was asked for. Where memory
 * is out, the plan is said too. */
int network_node_error(const struct network *network, int node, const char *why,
                       struct error *error);

#endif
