/* How far two arrays are from each other, seen piece by piece. */
#ifndef OCTPIPE_IO_COMPARE_H
#define OCTPIPE_IO_COMPARE_H

#include "kernels/tensor.h"

/* What counts as equal. An element is within bounds when |a − b| ≤ absolute + relative·|b|; NaN
 * never is, infinities are when they are equal. */
struct tolerance {
    double absolute, relative;
};

struct comparison {
    int64_t count, beyond;     /* elements, and those that are not within bounds */
    int64_t nan;               /* elements where either is NaN; they are left out of what follows */
    double max_absolute;       /* of |a − b| */
    int64_t where;             /* the first element with it */
    double max_relative;       /* of |a − b| / max(|a|, |b|) */
    double squares, reference; /* sums of (a − b)² and of b² */
};

/* Starts from {0}. */
void comparison_add(struct comparison *comparison, const void *a, enum dtype a_type, const void *b,
                    enum dtype b_type, int64_t count, const struct tolerance *tolerance);

double comparison_rms(const struct comparison *comparison);

/* ‖a − b‖ / ‖b‖; 0 when both norms are. */
double comparison_l2(const struct comparison *comparison);

#endif
