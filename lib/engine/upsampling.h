/* A pass over a graph: convolutions of maps upsampled ×2 read the map before its upsampling, which
 * is then never stored, nor is its gradient. */
#ifndef OCTPIPE_ENGINE_UPSAMPLING_H
#define OCTPIPE_ENGINE_UPSAMPLING_H

#include "lib/engine/graph.h"

/* To be called before the graph is differentiated. Values keep their numbers, nodes do not.
 * Where a convolution is all that reads an upsampled map, it takes the upsampling over from the
 * OP_RESAMPLE, which is removed, or from the OP_GROUP_NORM, which then writes the small map. */
void graph_fuse_upsampling(struct graph *graph);

#endif
