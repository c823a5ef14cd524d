/* Kernel inception distance (Binkowski et al., "Demystifying MMD GANs", ICLR 2018): the unbiased
 * estimate of the squared maximum mean discrepancy of two sets of feature vectors under the kernel
 *   k(x, y) = (x·y/features + 1)³. */
#ifndef OCTPIPE_METRICS_KID_H
#define OCTPIPE_METRICS_KID_H

#include "lib/metrics/frechet.h"

/* Estimates from parts of two sets. Row r of times_a (estimates, a->count) and times_b says how
 * often each vector belongs to the r-th part; pairs of a vector with itself stay out:
 *   Σ_{i≠j} u_i·u_j·k(a_i, a_j)/Σ_{i≠j} u_i·u_j + the same of b − 2·Σ u_i·v_j·k(a_i, b_j)/Σ u_i·v_j
 * `times` of a and b are not read. In double; the bits do not depend on the number of threads.
 * Refused: different numbers of features, parts without two different vectors. */
int kid_estimate(const struct vectors *a, const struct vectors *b, const double *times_a,
                 const double *times_b, int64_t estimates, double *estimate, struct error *error);

#endif
