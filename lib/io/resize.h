/* Volumes (D,H,W) in other extents, slice by slice. Methods, along each axis, with scale = in /
 * out: nearest  the element floor(i·scale) area     the mean of the elements floor(i·scale) …
 * ceil((i + 1)·scale) − 1, as PyTorch's interpolate linear   between the two elements around (i +
 * 1/2)·scale − 1/2, as PyTorch's interpolate with align_corners=False and a given size in is the
 * number of elements that are used, the first ones. */
#ifndef OCTPIPE_IO_RESIZE_H
#define OCTPIPE_IO_RESIZE_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum resize_method { RESIZE_NEAREST, RESIZE_AREA, RESIZE_LINEAR };

/* Extents D, H, W, each at least 1; used ≤ in. */
struct resize_size {
    int64_t in[3], used[3], out[3];
};

/* The size of a volume `in` made smaller by whole factors: in / factor rounded down. With area the
 * voxels beyond the last block stay out. A factor beyond its extent is refused. */
int resize_by_factor(struct resize_size *size, enum resize_method method, const int64_t in[3],
                     const int64_t factor[3], struct error *error);

struct resize;

int resize_open(struct resize **resize, enum resize_method method, const struct resize_size *size,
                struct error *error);
void resize_close(struct resize *resize);

/* Begin with another volume of the same size. */
void resize_restart(struct resize *resize);

/* Give the next input slice (H,W). */
void resize_put(struct resize *resize, const float *slice);

/* Take the next output slice (H',W'); false when it needs more input. Output slices must be taken
 * as soon as they can be, but for the last one, which stays available. */
bool resize_take(struct resize *resize, float *slice);

#endif
