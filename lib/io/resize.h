/* Volumes (D,H,W) made smaller by whole factors, slice by slice.
 *
 * The output has floor(in / factor) elements along an axis. Methods, along each axis, with
 * scale = in / out:
 *   nearest  the element floor(i·scale)
 *   area     the mean of the elements i·factor … i·factor + factor − 1
 *   linear   between the two elements around (i + 1/2)·scale − 1/2, as PyTorch's interpolate does
 *            with align_corners=False and a given size */
#ifndef OCTPIPE_IO_RESIZE_H
#define OCTPIPE_IO_RESIZE_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum resize_method { RESIZE_NEAREST, RESIZE_AREA, RESIZE_LINEAR };

struct resize;

/* in and factor along D, H, W. A factor beyond its extent is refused. */
int resize_open(struct resize **resize, enum resize_method method, const int64_t in[3],
                const int64_t factor[3], struct error *error);
void resize_close(struct resize *resize);

/* The output's extents D', H', W'. */
const int64_t *resize_extent(const struct resize *resize);

/* Give the next input slice (H,W). */
void resize_put(struct resize *resize, const float *slice);

/* Take the next output slice (H',W'); false when it needs more input. Output slices must be taken
 * as soon as they can be, but for the last one, which stays available. */
bool resize_take(struct resize *resize, float *slice);

#endif
