/* A graph made ready to run on a backend: algorithms chosen, memory planned, weights packed.
 *
 * network_create decides everything and allocates nothing large, so that the plan can be shown or
 * refused; network_prepare takes the memory and packs the weights; network_run computes. */
#ifndef OCTPIPE_ENGINE_NETWORK_H
#define OCTPIPE_ENGINE_NETWORK_H

#include "lib/engine/graph.h"

/* Bytes. In training everything is in the arena. total is what the process holds at its peak on
 * behalf of this network. */
struct network_memory {
    int64_t weights;     /* prepared: packed, converted */
    int64_t activations; /* arena: values and workspaces, also scratch while packing */
    int64_t total;
};

struct network;

enum { NETWORK_CALLS = 2 }; /* under way at once, at most */

/* The network owns the graph from here on, whether or not creation succeeds. */
int network_create(struct network **network, struct graph *graph, const struct backend *backend,
                   struct error *error);
/* A differentiated graph made ready to train: weights may change between runs, so every run packs
 * them anew, node by node, into memory that is needed only then. `memory` bounds the total; where
 * the plan does not fit, the forward graph is cut into segments, and those that cost the fewest
 * operations to make again are (recompute.h); the results have the same bits. 0: no bound. A bound
 * that no plan meets is an error that tells the least that would do. Owns the graph as above. */
int network_create_training(struct network **network, struct graph *graph,
                            const struct backend *backend, int64_t memory, struct error *error);
void network_destroy(struct network *network); /* NULL is fine */

struct network_memory network_memory(const struct network *network);
/* The graph that runs: in training, with the nodes that are made again. */
const struct graph *network_graph(const struct network *network);

/* Allocate and pack; drops the file pages of mapped weights as it goes. A second call is a no-op.
 */
int network_prepare(struct network *network, struct error *error);

/* Run once. inputs and outputs in the order of graph_input and graph_output, dense, in the layout
 * and type of their tensors. Prepares first where that has not been done. */
int network_run(struct network *network, const void *const *inputs, void *const *outputs,
                struct error *error);

/* The same in two steps, so that a backend with a queue copies a call's inputs and outputs while it
 * works on another call's. network_overlap, before network_prepare, says how many calls may be
 * under way at once, and plans for them: one on the CPU, or after a call without it. network_start
 * begins one, on the CPU all of it; the caller's memory must stay as it is, and is written to,
 * until network_finish has ended that call, the oldest there is. The copies are beside the work
 * where that memory is memory_host_create's (memory.h). */
int network_overlap(struct network *network);
int network_start(struct network *network, const void *const *inputs, void *const *outputs,
                  struct error *error);
int network_finish(struct network *network, struct error *error);

/* As network_run, and the seconds that each node of the graph took; NULL: not asked for. */
int network_profile(struct network *network, const void *const *inputs, void *const *outputs,
                    double *seconds, struct error *error);

#endif
