/* Fréchet distance between the normal distributions of two sets of feature vectors (Heusel et al.
 * 2017; paper, section "Metrics"):
 *   ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2·(Σ_a·Σ_b)^½) */
#ifndef OCTPIPE_METRICS_FRECHET_H
#define OCTPIPE_METRICS_FRECHET_H

#include "lib/core/error.h"

#include <stdint.h>

enum { MOMENTS_BLOCK = 64 };

/* Mean and covariance of vectors that come one by one, in double. Vectors wait until there are
 * MOMENTS_BLOCK of them, so that the products of a block are one product of matrices. */
struct moments {
    int64_t features, count, held; /* vectors in all; those that wait */
    double *mean;                  /* (features) of those that do not wait */
    double *products; /* (features, features): Σ (x − mean)·(x − mean)ᵀ, of row i the
                         columns up to i */
    double *block;    /* (MOMENTS_BLOCK + 1, features) */
};

/* Vectors kept, and how often each of them counts. */
struct vectors {
    int64_t features, count;
    const double *vector; /* (count, features) */
    const double *times;  /* (count); whole numbers; NULL: once each */
};

int moments_open(struct moments *moments, int64_t features, struct error *error);
void moments_close(struct moments *moments); /* {0} is fine */

void moments_add(struct moments *moments, const double *vector);

/* Take in those that wait. */
void moments_flush(struct moments *moments);

/* The distance; covariances are products/(count − 1). One thread, so that the bits are the same on
 * any number of cores. Refused: fewer than two vectors in a set, different numbers of features. */
int frechet_distance(struct moments *a, struct moments *b, double *distance, struct error *error);

/* The same of vectors. Where there are fewer than features they are, centred, factors of their
 * covariances, which need not be made then. Several threads may call it at once. */
int frechet_distance_vectors(const struct vectors *a, const struct vectors *b, double *distance,
                             struct error *error);

#endif
