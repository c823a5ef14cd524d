/* The gradient of a convolution's input. Where there is a mirror (convolution_boxes.h,
 * convolution_fold.h) that goes by Winograd or by lines, or sums boxes, it is left to
 * cpu_convolution. The rest is made of matrix
 * products as in convolution.h: for each tap, the outputs that see each position of a block are
 * collected, summed where there are several (at a repeated border, or of an upsampled input), and
 * multiplied with the tap's packed weights onto the unit's sums. With strides a block holds
 * positions that are a stride apart, which see the same taps. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_DATA_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_DATA_H

#include "kernels/cpu/convolution_boxes.h"
#include "kernels/cpu/convolution_fold.h"
#include "kernels/cpu/convolution_map.h"

struct convolution_data {
    struct operation forward;
    struct convolution_map map;
    bool bf16;       /* products of bf16, else of f32 */
    bool added;      /* there is an input to add */
    int64_t depth;   /* channels of a collected pixel: those of dy, for bf16 rounded up to pairs */
    int64_t columns; /* channels of dx, rounded up */
    int64_t taps;
    int64_t tap_bytes;      /* packed weights of a tap */
    int64_t desk_bytes;     /* workspace of a thread */
    int64_t phases, blocks; /* of a slice; blocks of a phase */
    int threads;
    const char *prepared;
    void *inner; /* the state of the mirror; else NULL */
    struct convolution_boxes boxes;
    struct convolution_fold fold;
    bool boxed, folded; /* the mirror takes boxes; its result is folded */
    size_t wide;        /* offset in the scratch: kernels that are not f32 */
};

/* What a run reads and writes. */
struct convolution_data_call {
    const void *dy, *added; /* added: NULL where there is none */
    void *dx;
};

/* Compute block `block` of phase `phase` and columns of chunk `chunk` in slice z of sample n. */
void convolution_data_unit(const struct convolution_data *s,
                           const struct convolution_data_call *call, int64_t n, int64_t z,
                           int64_t phase, int64_t block, int64_t chunk, void *desk);

#endif
