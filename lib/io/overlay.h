/* Labels or layer surfaces that an option names, drawn over the volumes that a filter reads: array
 * after array, and slice after slice. */
#ifndef OCTPIPE_IO_OVERLAY_H
#define OCTPIPE_IO_OVERLAY_H

#include "lib/io/filter.h"

/* `path` is an option's target; without a path the calls below do nothing. As those of filter.h,
 * they end the program on an error. */
struct overlay {
    const char *path;
    struct filter filter; /* reads the path */
    struct array array;   /* labels (D,H,W) u1 or surfaces (S,D,W) */
    int64_t h, w, next;   /* rows and columns of the volume, and its next slice */
    float *surface;       /* (S,D,W) row indices; NULL: labels */
};

/* Two inputs from stdin are refused. */
void overlay_open(struct overlay *overlay, const struct filter *filter);
void overlay_close(struct overlay *overlay);

/* Take the next array, which must fit the volume (D,H,W): labels of its shape, or surfaces (S,D,W)
 * of at most 255. */
void overlay_next(struct overlay *overlay, const struct array *volume);

/* How much of a pixel is the colour of its label: lines are opaque, labels tint what is below. 0
 * without a path. */
double overlay_opacity(const struct overlay *overlay);

/* The labels (H,W) of the volume's next slice, 0 for none: surface s is a line of s + 1, joined
 * along W, where a voxel's middle has its index. */
void overlay_read(struct overlay *overlay, uint8_t *label);

/* The row indices (D,W) of surface `index` of the array; refused when it has no such one. */
const float *overlay_surface(struct overlay *overlay, int64_t index);

#endif
