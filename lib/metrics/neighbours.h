/* How much neighbouring slices of a volume differ along D: the mean of |x_{d+1} − x_d| over all
 * voxels, or over the projection, the mean over H, where speckle is averaged out and slices that
 * are brighter or darker than the next show as the stripes that the paper tells of (section
 * "Ablation study"). */
#ifndef OCTPIPE_METRICS_NEIGHBOURS_H
#define OCTPIPE_METRICS_NEIGHBOURS_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct neighbours {
    int64_t rows, columns;
    bool projection;
    int64_t values, slices; /* of what is compared; added so far */
    double *value;          /* (2, values): of the slice before and of this one, in turn */
    double sum;             /* of absolute differences */
};

/* Fails only when memory is out. */
int neighbours_begin(struct neighbours *neighbours, int64_t rows, int64_t columns, bool projection,
                     struct error *error);

/* Add the next slice (rows, columns). */
void neighbours_add(struct neighbours *neighbours, const float *slice);

/* The mean difference in the unit of the slices, NaN of a single slice; frees what begin took. */
double neighbours_finish(struct neighbours *neighbours);

#endif
