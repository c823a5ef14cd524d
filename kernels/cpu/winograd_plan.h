/* What winograd.c decides and winograd_run.c follows; for these two alone.
 *
 * The weights are taken in parts, of some input and some output channels, whose transforms stay in
 * the last-level cache. All threads transform a part together; then each takes blocks of tiles,
 * transforms their inputs, multiplies, and transforms back one panel of output channels after
 * another, adding to what the parts before left: in the output, or, where the output is bf16, in
 * f32 sums of a stretch of blocks, so that only finished sums are rounded. The parts, and with them
 * the order of every sum, follow from the shape alone; blocks and stretches can be cut in any way.
 */
#ifndef OCTPIPE_KERNELS_CPU_WINOGRAD_PLAN_H
#define OCTPIPE_KERNELS_CPU_WINOGRAD_PLAN_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/winograd.h"

enum { TILE = 4, PATCH = 6, PRODUCTS = PATCH * PATCH, TAPS = 9 };

/* Channels of a part, at most: about 7 MB of transformed weights. */
enum { IN_2D = 192, OUT_2D = 256, IN_3D = 128, OUT_3D = 128, CHANNELS_MULTIPLE = 16 };

struct winograd {
    const struct winograd_simd *simd;
    struct shape in, out;      /* a 2-D convolution has the slices of all its samples in d */
    enum dtype type, out_type; /* of inputs and packed weights; of outputs and residuals */
    int planes;                /* of the kernel, of one phase */
    int phases;                /* 2: even and odd slices of an input upsampled along d */
    int up;                    /* 1: the input is upsampled along h and w */
    int64_t pad[AXES];
    bool replicate, relu;
    int64_t row_tiles, tiles;          /* in a row, in a slice */
    int64_t in_part, out_part;         /* channels of a part of the weights */
    int64_t block_slices, block_tiles; /* tiles of a block, in slices of a phase */
    int64_t stretch;                   /* blocks whose sums are kept; all, where none need be */
    bool sums;                         /* of parts are kept in f32 */
    /* The slices of a block make one strip of tiles to multiply, or one each: those at the ends of
     * a 3-D map then leave out the planes of the kernel that lie in the padding. */
    bool joined;
    /* In floats: from one tile's transformed inputs to the next, and from one of the 36 products to
     * the next in a panel of weights, in the inputs and in the sums. */
    int64_t row_step, weight_step, input_step, sum_step;
    size_t sums_at, threads_at, thread_bytes; /* in the workspace; bytes of a thread */
    int threads;
};

static inline int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t blocks_of(int64_t count, int64_t block)
{
    return (count + block - 1) / block;
}

static inline int64_t round_up(int64_t count, int64_t multiple)
{
    return blocks_of(count, multiple) * multiple;
}

static inline int64_t vectors_of(const struct winograd *w, int64_t channels)
{
    return blocks_of(channels, w->simd->lanes);
}

/* Blocks of a phase. */
static inline int64_t count_blocks(const struct winograd *w)
{
    return w->out.n * blocks_of(w->out.d / w->phases, w->block_slices) *
           blocks_of(w->tiles, w->block_tiles);
}

/* Rows from one slice of a block to the next. */
static inline int64_t pitch_of(const struct winograd *w, int64_t tiles)
{
    return w->joined ? tiles : round_up(tiles, w->simd->rows);
}

/* Elements of the packed weights from one plane to the next. */
static inline int64_t plane_step(const struct winograd *w)
{
    return vectors_of(w, w->out.c) * w->simd->lanes * w->in.c * TAPS;
}

#endif
