/* Trading time for memory: a differentiated graph in which parts of the forward graph are computed
 * a second time, so that their values need not live until their gradients are made.
 *
 * The forward nodes are cut into segments. Of a segment that is made again, only those values are
 * kept which another segment reads, or which are outputs; before the first node that needs another
 * of its values, the segment's nodes come again, as far as they are needed. The same operations on
 * the same values give the same bits. */
#ifndef OCTPIPE_ENGINE_RECOMPUTE_H
#define OCTPIPE_ENGINE_RECOMPUTE_H

#include "lib/engine/graph.h"

enum { RECOMPUTE_SEGMENTS = 32 };

/* Cut a differentiated graph's forward nodes into segments: segment k begins with node cut[k];
 * cut[segments] = graph->forward. Segments hold about as many bytes each, and cuts are where few
 * bytes are handed on. Returns the number of segments, which may be smaller than asked for; −1
 * when memory is out. cut has room for segments + 1. */
int recompute_cut(const struct graph *graph, int segments, int *cut);

/* The graph in which the first `again` segments are made again. origin[i] is the node of `graph`
 * that node i of the new graph is, or repeats; the caller frees both. NULL on an error. */
struct graph *recompute_graph(const struct graph *graph, const int *cut, int again, int **origin,
                              struct error *error);

/* Of the graphs that recompute_graph makes with up to RECOMPUTE_SEGMENTS segments, the one with the
 * fewest operations whose plan takes at most `memory` bytes; the caller frees it. needs and
 * in_place are those of the nodes of `graph`. NULL when there is none, with the least that would
 * do. */
struct graph *recompute_fit(const struct graph *graph, const struct needs *needs,
                            const int *in_place, int64_t memory, struct error *error);

#endif
