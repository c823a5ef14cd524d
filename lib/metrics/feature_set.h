/* What is kept of the features of a set of slices: their moments, whose memory does not grow with
 * the set, or the vectors themselves, 8 bytes a feature, or both. */
#ifndef OCTPIPE_METRICS_FEATURE_SET_H
#define OCTPIPE_METRICS_FEATURE_SET_H

#include "lib/metrics/frechet.h"

#include <stdbool.h>

struct feature_set {
    bool takes_moments, keeps_vectors;
    int64_t features, count, room; /* features 0: nothing has come yet */
    struct moments moments;
    double *vector; /* (room, features) */
};

/* Add a vector of `features` numbers. Fails when memory is out. */
int feature_set_add(struct feature_set *set, const double *vector, int64_t features,
                    struct error *error);
void feature_set_close(struct feature_set *set); /* {0} is fine */

/* Bytes that all this takes. */
int64_t feature_set_bytes(const struct feature_set *set);

/* The vectors that are kept, once each. */
struct vectors feature_set_vectors(const struct feature_set *set);

#endif
