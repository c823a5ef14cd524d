/* Total variation of a volume, slice by slice, from forward differences ∂ along D, H and W; at the
 * end of an axis there is none, as if it were 0. The definitions in use, by name:
 *   paper             √Σ(∂_D² + ∂_H² + ∂_W²), one square root over the total (MODEL.md "Data and
 *                     measures")
 *   anisotropic       Σ(|∂_D| + |∂_H| + |∂_W|) (Esedoglu and Osher 2004)
 *   isotropic         Σ√(∂_D² + ∂_H² + ∂_W²) (Rudin, Osher and Fatemi 1992)
 *   anisotropic-mean, isotropic-mean   these over the number of voxels */
#ifndef OCTPIPE_METRICS_TOTAL_VARIATION_H
#define OCTPIPE_METRICS_TOTAL_VARIATION_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum total_variation_kind {
    TV_PAPER,
    TV_ANISOTROPIC,
    TV_ISOTROPIC,
    TV_ANISOTROPIC_MEAN,
    TV_ISOTROPIC_MEAN,
    TV_KINDS,
};
extern const char *const total_variation_kinds[TV_KINDS + 1];

struct total_variation {
    enum total_variation_kind kind;
    int64_t rows, columns, slices;
    float *previous; /* the slice before, (rows, columns) */
    double sum;      /* of squares, absolute values or roots so far; without the last slice's */
};

/* Fails only when memory is out. */
int total_variation_begin(struct total_variation *tv, enum total_variation_kind kind, int64_t rows,
                          int64_t columns, struct error *error);

/* Add the next slice (rows, columns). */
void total_variation_add(struct total_variation *tv, const float *slice);

/* The total variation, in the unit of the slices, of what was added; frees what begin took. */
double total_variation_finish(struct total_variation *tv);

#endif
