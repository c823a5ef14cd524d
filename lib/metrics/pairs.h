/* Pairs of the volumes of a set, all of them or so many at random. */
#ifndef OCTPIPE_METRICS_PAIRS_H
#define OCTPIPE_METRICS_PAIRS_H

#include "lib/core/error.h"

#include <stdint.h>

struct pair {
    int64_t first, second; /* numbers of volumes, first < second */
};

/* Choose `wanted` different pairs of `volumes` volumes, each set of as many pairs as likely as any
 * other, or all where there are no more; in the order of their numbers. Returns how many, or −1
 * when memory is out; the caller frees *pair. The same for the same numbers. */
int64_t pairs_choose(struct pair **pair, int64_t volumes, int64_t wanted, uint64_t seed,
                     struct error *error);

#endif
