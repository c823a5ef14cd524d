/* Kernels of convolutions on their way to packed weights: blocks of them in f32, turned around so
 * that the channels which a product has side by side lie side by side. */
#ifndef OCTPIPE_KERNELS_CPU_KERNEL_TAPS_H
#define OCTPIPE_KERNELS_CPU_KERNEL_TAPS_H

#include "kernels/operation.h"

enum {
    KERNEL_PARTS = OPERATION_WEIGHTS / 2,
    KERNEL_VECTOR = 16, /* columns of a block, at most */
};

/* Some output channels of a kernel: tap t of output o and input i at o·out_step + i·in_step + t. */
struct kernel_part {
    const float *weights;
    int64_t outs, out_step, in_step;
};

/* All parts of a convolution's kernel, their output channels one after another. Columns, which lie
 * side by side, are output channels, and sums run over rows, the input channels; or, of_inputs, the
 * other way round. */
struct kernel_taps {
    struct kernel_part part[KERNEL_PARTS];
    int64_t taps;
    bool of_inputs;
    bool mirrored;      /* the last tap first */
    float factor;       /* of all weights */
    const float *scale; /* of each column's; NULL: 1 */
};

/* Floats that hold what of a convolution's kernels is not f32. */
int64_t kernel_taps_floats(const struct operation *convolution);

/* Describe the kernels of a convolution, `columns` and `mirrored` left out; what is not f32 is
 * converted to `wide`. */
struct kernel_taps kernel_taps_open(const struct operation *convolution, float factor, float *wide);

/* Rows first … first+count−1 of a block of `columns` columns, KERNEL_VECTOR at most, from `column`
 * on: to (count, taps, width), zero beyond the columns. */
void kernel_taps_gather(const struct kernel_taps *kernel, int64_t column, int64_t columns,
                        int64_t first, int64_t count, int64_t width, float *to);

/* Packed matrices (depth, columns) of all taps, each padded to these extents, `tap_bytes` apart. */
struct kernel_packed {
    bool bf16;
    int64_t depth, columns, tap_bytes;
};

/* Columns column … column+15 of rows first … first+count−1, row i at from + i·step, to one packed
 * matrix; for bf16 first is even. */
void kernel_packed_place(const struct kernel_packed *packed, const float *from, int64_t step,
                         int64_t first, int64_t count, int64_t column, void *matrix);

/* Floats of scratch for kernel_taps_pack on so many threads. */
int64_t kernel_taps_scratch(int64_t taps, int threads);

/* Pack `rows` rows and `columns` columns of all taps. */
void kernel_taps_pack(const struct kernel_taps *kernel, int64_t rows, int64_t columns,
                      const struct kernel_packed *packed, int threads, void *matrices,
                      float *scratch);

#endif
