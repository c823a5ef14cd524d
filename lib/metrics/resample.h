/* Parts of sets drawn at random, and what a measure of them tells: intervals by the bootstrap
 * (Efron 1979), means over subsets. */
#ifndef OCTPIPE_METRICS_RESAMPLE_H
#define OCTPIPE_METRICS_RESAMPLE_H

#include "lib/metrics/frechet.h"
#include "lib/metrics/report.h"

/* How often each of `count` vectors is in part `part` of set `set` (0, 1): `size` different ones;
 * or as many as there are, drawn with replacement. */
void resample_subset(uint64_t seed, int set, int64_t part, int64_t count, int64_t size,
                     double *times);
void resample_replace(uint64_t seed, int set, int64_t part, int64_t count, double *times);

/* The quantile of `count` values, between two of them in proportion; sorts them. */
double resample_quantile(double *values, int64_t count, double quantile);

/* Fréchet distances, and kernel inception distances, of sets drawn with replacement: the 2.5 % and
 * 97.5 % quantiles of `parts` of them. On all threads; the bits do not depend on their number. */
int resample_frechet(const struct vectors *a, const struct vectors *b, uint64_t seed, int64_t parts,
                     double interval[2], struct error *error);
int resample_kid(const struct vectors *a, const struct vectors *b, uint64_t seed, int64_t parts,
                 double interval[2], struct error *error);

/* Kernel inception distances of `parts` subsets of `size` vectors of either set. */
int resample_kid_subsets(const struct vectors *a, const struct vectors *b, uint64_t seed,
                         int64_t parts, int64_t size, struct spread *spread, struct error *error);

#endif
