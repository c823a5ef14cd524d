/* The CPU convolution: by winograd.h where winograd_suits says so, else by matrix products, tap by
 * tap, as follows.
 *
 * The outputs of a slice are cut into blocks of PIXELS, the output channels into chunks of COLUMNS;
 * a unit is one chunk of one block. For each tap, in order, the pixels that a block sees under it
 * are collected (padding and strides are in this step alone) and multiplied with the tap's packed
 * weights onto the unit's sums, which stay in the cache. So nothing is padded or copied in memory,
 * and the order of every sum depends on the kernel alone. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_H

#include "kernels/cpu/winograd.h"
#include "kernels/operation.h"

enum {
    PIXELS = 64,   /* outputs of a block: weights are read once for so many */
    COLUMNS = 192, /* a multiple of every instruction set's panel */
    ROWS_MULTIPLE = 8,
    COLUMNS_MULTIPLE = 16,
};

struct convolution_state {
    struct operation operation;
    struct winograd *winograd; /* NULL: by matrix products; else its weights begin the block */
    bool bf16;                 /* products of bf16, else of f32 */
    int64_t depth;             /* channels of a collected pixel: in, for bf16 rounded up to pairs */
    int64_t columns;           /* out, rounded up */
    int64_t taps;
    int64_t tap_bytes;  /* packed weights of a tap */
    int64_t desk_bytes; /* workspace of a thread */
    int threads;
    float alpha, beta; /* output = alpha·conv + beta·residual */
    size_t bias;       /* offset in the prepared block */
    const char *prepared;
};

static inline int64_t convolution_rounded(int64_t count, int64_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

/* Choose the way; bytes of the prepared block, of scratch to pack it, of the workspace. Returns
 * NULL or a static reason. */
const char *convolution_measure(struct convolution_state *state, struct needs *needs);

/* Pack weights and bias, scaled by alpha. */
void convolution_pack(const struct convolution_state *state, void *prepared, void *scratch);

/* What a run reads and writes; residual may be NULL or the output itself. */
struct convolution_maps {
    const void *input, *residual;
    void *output;
};

/* Compute outputs first … of chunk `chunk` in slice z of sample n, by a thread's workspace. */
void convolution_unit(const struct convolution_state *state, const struct convolution_maps *maps,
                      int64_t n, int64_t z, int64_t first, int64_t chunk, void *desk);

#endif
