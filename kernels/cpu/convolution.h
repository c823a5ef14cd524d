/* The CPU convolution: with few channels by lines, else by winograd.h where winograd_suits says so,
 * else by matrix products, tap by tap.
 *
 * Tap by tap: the outputs of a slice are cut into blocks of PIXELS, the output channels into chunks
 * of COLUMNS; a unit is one chunk of one block. For each tap, in order, the pixels that a block
 * sees under it are collected (padding and strides are in this step alone) and multiplied with the
 * tap's packed weights onto the unit's sums, which stay in the cache. So nothing is padded or
 * copied in memory, and the order of every sum depends on the kernel alone.
 *
 * By lines: what an output sees under a line of the kernel, its taps along w, lies side by side in
 * the input, kernel × channels numbers. With few channels a product takes a line at once, and sums
 * stay in registers over all lines. Vectors run over output channels, or with few of these
 * over the numbers of a line. Only where a line hangs over the edge of a slice is it copied. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_H

#include "kernels/cpu/simd.h"
#include "kernels/cpu/winograd.h"
#include "kernels/check.h"

enum {
    PIXELS = 64,   /* outputs of a block: weights are read once for so many */
    COLUMNS = 192, /* a multiple of every instruction set's panel */
    ROWS_MULTIPLE = 8,
    COLUMNS_MULTIPLE = 16,
};

enum convolution_way { BY_WINOGRAD, BY_TAPS, BY_LINES, BY_LINES_SUMMED /* few outputs */ };

struct convolution_state {
    struct operation operation;
    enum convolution_way way;
    struct winograd *winograd; /* BY_WINOGRAD: its weights begin the prepared block; else NULL */
    bool bf16;                 /* products of bf16, else of f32 */
    int64_t depth;             /* numbers of a product: of a tap or a line, rounded up */
    int64_t columns;           /* out, rounded up */
    int64_t taps;              /* or lines of the kernel */
    int64_t tap_bytes;         /* packed weights of a tap or a line */
    int64_t desk_bytes;        /* workspace of a thread */
    /* Slices of a sample of input and output that lie in memory, slice z at z mod these: all of
     * them, but for the map between a pair of convolutions. */
    int64_t in_slices, out_slices;
    int threads;
    float alpha, beta; /* output = alpha·conv + beta·residual */
    size_t bias;       /* offset in the prepared block */
    size_t wide;       /* offset in the scratch: kernels that are not f32 */
    size_t scale;      /* offset in the scratch: of output channels, by the batch norm */
    const char *prepared;
};

static inline int64_t convolution_at_most(int64_t count, int64_t most)
{
    return count < most ? count : most;
}

static inline int64_t convolution_slice_bytes(const struct tensor *tensor)
{
    return tensor_bytes(*tensor) / tensor->shape.n / tensor->shape.d;
}

static inline int64_t convolution_rounded(int64_t count, int64_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

/* The input position that output `o` sees under kernel index k along an axis; −1: none, or zero.
 * extent: of the input. */
int64_t convolution_source(const struct convolution *c, int axis, int64_t o, int64_t k,
                           int64_t extent);

/* a of a mixed convolution, 1 of any other. */
float convolution_mix(const struct operation *operation);

/* Check the operation and fill the state; slicewise: for convolution_slices alone. Returns NULL or
 * a static reason. */
const char *convolution_open(struct convolution_state *state, const struct operation *operation,
                             bool slicewise, struct needs *needs);

/* Read the mix factor and pack the weights of state->operation. */
void convolution_prepare(struct convolution_state *state, void *prepared, void *scratch);

/* The same of a plain convolution without bias, whose kernel is not in its operation. */
void convolution_prepare_kernel(struct convolution_state *state, const struct kernel_taps *kernel,
                                void *prepared, void *scratch);

/* Choose the way (slicewise: one that convolution_slices can run) and in_slices, out_slices; bytes
 * of the prepared block, of scratch to pack it, of the workspace. Returns NULL or a static
 * reason. */
const char *convolution_measure(struct convolution_state *state, bool slicewise,
                                struct needs *needs);

/* Pack the weights of a kernel and the operation's bias, scaled by alpha. */
void convolution_pack(const struct convolution_state *state, const struct kernel_taps *kernel,
                      void *prepared, void *scratch);

/* What a run reads and writes; residual may be NULL or the output itself. */
struct convolution_maps {
    const void *input, *residual;
    void *output;
};

/* Compute outputs first … of chunk `chunk` in slice z of sample n, by a thread's workspace. */
void convolution_unit(const struct convolution_state *state, const struct convolution_maps *maps,
                      int64_t n, int64_t z, int64_t first, int64_t chunk, void *desk);

/* Compute row y of slice z of sample n from output first on, PIXELS at most. */
void convolution_lines_unit(const struct convolution_state *state,
                            const struct convolution_maps *maps, int64_t n, int64_t z, int64_t y,
                            int64_t first, void *desk);

/* True where kernel lines are the faster way: decided by channels and kernel alone. */
bool convolution_lines_suit(const struct operation *operation);

/* Choose between BY_LINES and BY_LINES_SUMMED: depth, columns, taps, desk_bytes. */
void convolution_lines_measure(struct convolution_state *state);

/* A unit's sums to the outputs from element `at` on; of `sums` residual, output, dtype, beta and
 * relu are filled in. */
void convolution_finish(const struct convolution_state *state, const struct convolution_maps *maps,
                        int64_t at, struct convolution_sums sums);

/* Compute `count` slices, counted over samples and depth, from slice `first` on. The result is the
 * same however the slices are cut. Not by Winograd. */
void convolution_slices(const struct convolution_state *state, const struct convolution_maps *maps,
                        int64_t first, int64_t count, void *workspace);

#endif
