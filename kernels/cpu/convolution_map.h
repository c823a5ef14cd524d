/* What the gradients of a convolution share: the forward operation, and which positions of its
 * input and output meet, axis by axis. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_MAP_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_MAP_H

#include "kernels/operation.h"

/* The outputs first, first + step, … that see an input position under a tap. The positions
 * stride, 2·stride, … behind it see the outputs behind those, one each, `run` positions in all;
 * run is 0 where count is not 1. */
struct convolution_viewers {
    int32_t first, count, run;
};

/* One axis: `in` and `out` extents, `kernel` taps. */
struct convolution_axis {
    int64_t in, out, kernel;
    int64_t step;                        /* of viewers */
    int64_t phases;                      /* positions this far apart see the same taps */
    int32_t *source;                     /* (kernel, out): the input position that an output sees
                                            under a tap, −1: none, or a zero */
    struct convolution_viewers *viewers; /* (kernel, in) */
};

struct convolution_map {
    struct convolution_axis axis[AXES];
};

/* Of a forward operation that check_convolution passes. 0, or −1 when memory is out; destroyed in
 * either case. */
int convolution_map_create(struct convolution_map *map, const struct operation *forward);
void convolution_map_destroy(struct convolution_map *map);

static inline int64_t convolution_taps(const struct convolution *c)
{
    return (int64_t)c->kernel[AXIS_D] * c->kernel[AXIS_H] * c->kernel[AXIS_W];
}

/* The kernel index of a tap along each axis. */
static inline void convolution_tap(const struct convolution *c, int64_t t, int64_t tap[AXES])
{
    tap[AXIS_W] = t % c->kernel[AXIS_W];
    tap[AXIS_H] = t / c->kernel[AXIS_W] % c->kernel[AXIS_H];
    tap[AXIS_D] = t / c->kernel[AXIS_W] / c->kernel[AXIS_H];
}

#endif
