/* The CPU convolution in three files: convolution.c chooses and runs, convolution_gather.c writes
 * padded slabs, convolution_weights.c rewrites kernels for them.
 *
 * What winograd_suits() accepts goes to winograd.h, with either padding. Other zero-padded
 * convolutions go to oneDNN as they are. Replicate padding, which oneDNN lacks, is
 * written into the workspace slab by slab along d. There a strided kernel becomes a dense one over
 * space-to-depth channels, and a transposed convolution with stride s along d becomes s dense
 * convolutions whose outputs interleave. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_H

#include "kernels/cpu/onednn.h"
#include "kernels/cpu/winograd.h"
#include "kernels/operation.h"

enum { CONVOLUTION_PHASES = 4 /* at most: the stride of a transposed convolution */ };

/* A dense convolution over a gathered slab (or the whole map), with its packed weights. */
struct convolution_piece {
    struct onednn_convolution *convolution;
    int64_t rows;   /* output slices it makes */
    size_t weights; /* offset of its packed weights in the prepared block */
};

struct convolution_state {
    struct operation operation;
    bool gathered;
    int axes;                                /* 2 or 3 */
    int factor[AXES];                        /* space-to-depth factor, 1 where there is none */
    int64_t taps[AXES];                      /* kernel extents of the dense convolution */
    int64_t step[AXES];                      /* its strides */
    int64_t start[CONVOLUTION_PHASES][AXES]; /* first padded position that a phase reads */
    int64_t shift[CONVOLUTION_PHASES];       /* along d, tap j of a phase is kernel index shift +
                                                j·stride,       from the last j to the first */
    int64_t gathered_extent[AXES];           /* h and w of a gathered slab; d depends on the rows */
    int phases;
    struct convolution_piece slab[CONVOLUTION_PHASES], rest[CONVOLUTION_PHASES];
    struct winograd *winograd; /* NULL: oneDNN; its weights begin the prepared block */
    float alpha, beta;         /* output = alpha·conv + beta·residual */
    size_t bias, gather_bytes;
    const char *prepared;
};

/* Channels of the gathered map. */
static inline int64_t convolution_channels(const struct convolution_state *s)
{
    return s->operation.input[0].shape.c * s->factor[AXIS_D] * s->factor[AXIS_H] *
           s->factor[AXIS_W];
}

/* Slices of the gathered map that make `rows` output slices. */
static inline int64_t convolution_depth(const struct convolution_state *s, int64_t rows)
{
    return (rows - 1) * s->step[AXIS_D] + s->taps[AXIS_D];
}

/* Write the padded input that output slices row … row+rows−1 of a phase read, from one sample. */
void convolution_gather(const struct convolution_state *state, int phase, const void *sample,
                        int64_t row, int64_t rows, void *gathered);

/* Bytes of scratch that convolution_weights needs; 0: the file's own data serves as it is. */
size_t convolution_weights_scratch(const struct convolution_state *state);

/* The f32 kernel (out, in, [kd,] kh, kw) of a phase's dense convolution, scaled by alpha: in
 * scratch, or the file's data. */
const float *convolution_weights(const struct convolution_state *state, int phase, void *scratch);

/* The f32 bias, scaled by alpha. */
void convolution_bias(const struct convolution_state *state, float *bias);

#endif
