/* Writing a resampled map row by row, shared by OP_RESAMPLE and the group norm that ends in a
 * resampling. */
#ifndef OCTPIPE_KERNELS_CPU_RESAMPLE_H
#define OCTPIPE_KERNELS_CPU_RESAMPLE_H

#include "kernels/operation.h"

struct resample_map {
    struct shape in, out;
    enum dtype dtype; /* of the output */
    enum resampling resampling;
    int depth_factor;  /* 1, or 2 where the depth takes part */
    float down_factor; /* what a sum is multiplied with, going down: a mean's */
    int64_t rows;      /* units of work: source rows (up) or output rows (down) */
    int64_t row_count; /* values that a unit reads */
    int64_t piece;     /* columns read at a time, even */
};

/* Positions column … column+count−1 of a source row, (count, c): output dtype going up, f32 going
 * down; where they lie, or made in `buffer`. */
typedef const void *resample_read(const void *context, int64_t row, int64_t column, int64_t count,
                                  void *buffer);

/* Fill the map in; a reason where the shapes do not fit. */
const char *resample_plan(struct resample_map *map, const struct tensor *in,
                          const struct tensor *out, enum resampling resampling, bool depth);

/* Floats of the buffer that resample_row needs. */
int64_t resample_buffer(const struct resample_map *map);

/* Do one unit of work. */
void resample_row(const struct resample_map *map, int64_t row, resample_read *read,
                  const void *context, void *output, float *buffer);

#endif
