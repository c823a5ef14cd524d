/* Fréchet distance between the normal distributions of two sets of feature vectors (Heusel et al.
 * 2017; paper, section "Metrics"):
 *   ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2·(Σ_a·Σ_b)^½) */
#ifndef OCTPIPE_METRICS_FRECHET_H
#define OCTPIPE_METRICS_FRECHET_H

#include "lib/core/error.h"

#include <stdint.h>

/* Mean and covariance of vectors that come one by one, in double. */
struct moments {
    int64_t features, count;
    double *mean;     /* (features) of what was added */
    double *products; /* (features, features): Σ (x − mean)·(x − mean)ᵀ */
    double *offset;   /* (features) scratch */
};

int moments_open(struct moments *moments, int64_t features, struct error *error);
void moments_close(struct moments *moments); /* {0} is fine */

void moments_add(struct moments *moments, const double *vector);

/* The distance; covariances are products/(count − 1). One thread, so that the bits are the same on
 * any number of cores. Refused: fewer than two vectors in a set, different numbers of features. */
int frechet_distance(const struct moments *a, const struct moments *b, double *distance,
                     struct error *error);

#endif
