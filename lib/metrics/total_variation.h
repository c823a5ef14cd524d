/* Total variation of a volume, slice by slice:
 *   √Σ(∂_D² + ∂_H² + ∂_W²), forward differences, each axis over all its D−1 (H−1, W−1) pairs,
 * one square root over the total. */
#ifndef OCTPIPE_METRICS_TOTAL_VARIATION_H
#define OCTPIPE_METRICS_TOTAL_VARIATION_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct total_variation {
    int64_t rows, columns;
    float *previous; /* the slice before, (rows, columns) */
    bool started;
    double squares; /* sum of squared differences so far */
};

/* Fails only when memory is out. */
int total_variation_begin(struct total_variation *tv, int64_t rows, int64_t columns,
                          struct error *error);

/* Add the next slice (rows, columns). */
void total_variation_add(struct total_variation *tv, const float *slice);

/* The total variation, in the unit of the slices, of what was added; frees what begin took. */
double total_variation_finish(struct total_variation *tv);

#endif
