/* Mean absolute distance of two layer surfaces. */
#ifndef OCTPIPE_METRICS_SURFACES_H
#define OCTPIPE_METRICS_SURFACES_H

#include <stdint.h>

/* Mean |a − b| in the surfaces' unit (pixels) over those of `count` positions where both are
 * finite; a missing surface is NaN. The others are added to *left_out. NaN when none is left. */
double surface_distance(const float *a, const float *b, int64_t count, int64_t *left_out);

#endif
