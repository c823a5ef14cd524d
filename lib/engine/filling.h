/* How many slices fill a device: the multiprocessors share the tiles of a product, and where there
 * are fewer tiles than multiprocessors, or a few more than so many times as many, some stand idle.
 */
#ifndef OCTPIPE_ENGINE_FILLING_H
#define OCTPIPE_ENGINE_FILLING_H

#include "lib/engine/graph.h"

/* The fewest slices with which each multiprocessor has a tile of the graph's smallest map, taken
 * from a graph of `slices` slices that are computed one by one. The paper's refiner: 44 of 64² on
 * an H100 (132 multiprocessors), where 92 % of the tiles' places are then filled in all its
 * convolutions together, counted; 12 % with one slice, 42 % with 4. */
int64_t filling_slices(const struct graph *graph, int64_t slices, int multiprocessors);

#endif
