/* What OP_GROUP_NORM and its gradient share: the sets of values that are normalized together, and
 * their moments.
 *
 * A set is what shares statistics: a sample, a slice of it, or the batch. Its positions are cut
 * into chunks that depend on its shape alone; the moments of chunks are merged in their order. */
#ifndef OCTPIPE_KERNELS_CPU_GROUP_NORM_H
#define OCTPIPE_KERNELS_CPU_GROUP_NORM_H

#include "kernels/cpu/simd.h"
#include "kernels/operation.h"

/* Count, mean and Σ(x − mean)² of values. */
struct moments {
    double count, mean, square;
};

struct group_norm_sets {
    int sources, groups;
    enum dtype dtype;
    int64_t c, channels[GROUP_NORM_SOURCES], offset[GROUP_NORM_SOURCES], group_channels;
    int64_t sets, sets_per_sample, positions; /* h·w, d·h·w, or n·d·h·w */
    int64_t pack;                             /* positions in a row of sums */
    int64_t chunk, chunks;                    /* positions of a chunk; chunks of a set */
    bool scale_shift;
    int64_t scale_shift_stride; /* 0: the same for all samples */
};

void group_norm_sets(struct group_norm_sets *sets, const struct operation *operation);

/* `pack` positions of a source as one row, from a position on, counted over all sets. */
struct rows group_norm_rows(const struct group_norm_sets *sets, const void *const *inputs,
                            int source, int64_t position, int64_t pack);

/* The moments (groups) of one chunk of a set. sums has room for 3·pack·c floats. */
void group_norm_measure(const struct group_norm_sets *sets, const void *const *inputs, int64_t set,
                        int64_t chunk, float *sums, struct moments *moments);

/* The moments of a group of a set, from those of all chunks (set, chunk, group). */
struct moments group_norm_moments(const struct group_norm_sets *sets, const struct moments *moments,
                                  int64_t set, int64_t group);

/* √(variance + epsilon) of moments. */
double group_norm_deviation(struct moments moments, float epsilon);

/* The a and b of a channel's z = a·x + b, from affine (weight (c), bias (c)) and the scale and
 * shift among the inputs. b is made for the rounded a, so that values at the mean come out as the
 * bias. */
void group_norm_fold(const struct group_norm_sets *sets, const float *affine,
                     const void *const *inputs, int64_t set, int64_t channel, double mean,
                     double deviation, float *a, float *b);

#endif
