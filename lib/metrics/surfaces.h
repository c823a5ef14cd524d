/* Mean absolute distance of two layer surfaces. */
#ifndef OCTPIPE_METRICS_SURFACES_H
#define OCTPIPE_METRICS_SURFACES_H

#include <stdint.h>

/* Mean |a − b| over count positions, in the surfaces' unit (pixels); NaN when count is 0. */
double surface_distance(const float *a, const float *b, int64_t count);

#endif
