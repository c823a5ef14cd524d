/* Values of scans of any type brought to the range of a volume. */
#ifndef OCTPIPE_SCANS_INTENSITY_H
#define OCTPIPE_SCANS_INTENSITY_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

/* The values at two percentiles, 0 to 100, of `count` elements as f4: exact, the element of rank
 * floor(p/100·(n−1)) in ascending order (numpy.percentile's method "lower"). NaN and infinity are
 * refused. */
int intensity_percentiles(const void *data, enum dtype dtype, int64_t count,
                          const double percentile[2], float value[2], struct error *error);

/* Map low to −1 and high to 1, linearly, in place; what lies beyond is clamped. NaN is refused. */
int intensity_map(float *value, int64_t count, double low, double high, struct error *error);

#endif
