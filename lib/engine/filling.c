#include "lib/engine/filling.h"

#include <math.h>

/* Tiles of a map that has so many positions; parts of one along the positions count as parts, since
 * more slices fill them up. */
static double tiles(int64_t positions, int64_t channels)
{
    int64_t along_channels = (channels + TILE_CHANNELS - 1) / TILE_CHANNELS;
    return (double)positions / TILE_POSITIONS * (double)along_channels;
}

int64_t filling_slices(const struct graph *graph, int64_t slices, int multiprocessors)
{
    double fewest = 0;
    for (int i = 0; i < graph->nodes; i++) {
        const struct operation *o = &graph->node[i].operation;
        struct shape s = o->output.shape;
        if (o->kind != OP_CONVOLUTION)
            continue;
        double of_slice = tiles(shape_count(s) / s.c / slices, s.c);
        if (!fewest || of_slice < fewest)
            fewest = of_slice;
    }
    return fewest > 0 ? (int64_t)ceil(multiprocessors / fewest) : 1;
}
