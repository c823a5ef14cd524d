/* The gradient of a convolution's kernel: by winograd_weights.h where that suits, else for each tap
 * a matrix product of dy and x over all outputs of all samples, as follows. Where
 * convolution_boxes.h sums boxes, in f32, it is the mirror whose gradient this makes, of boxes and
 * x in the places of x and dy; so too where dy has few channels. Where what then is x has few,
 * products are of the other map and patches of this one, of all taps at once, in the places of x
 * and dy.
 *
 * The kernel is cut into chunks of `rows` output and `group` panels of input channels, whose sums
 * over all taps stay in the second-level cache; the outputs into `parts`, and these into blocks. A
 * task is one part of one chunk: for each block it packs dy, then, tap by tap, the pixels of x that
 * it sees (padding, strides and upsampling are in this step alone), and multiplies. The parts are
 * added in their order. All this follows from the shapes alone. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_WEIGHTS_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_WEIGHTS_H

#include "kernels/cpu/convolution_boxes.h"
#include "kernels/cpu/convolution_patches.h"
#include "kernels/cpu/winograd_weights.h"

enum {
    WEIGHTS_BLOCK = 256, /* outputs; even */
    WEIGHTS_ROWS = 128,  /* output channels of a chunk, at most */
    WEIGHTS_GROUP = 8,   /* panels of a chunk, at most */
    WEIGHTS_WIDTH = 48,  /* channels of a panel, at most */
};

struct convolution_weights {
    struct operation forward;  /* with the gradients */
    struct operation products; /* the same, its mirror, or a pointwise one that gives patches */
    struct convolution_boxes boxes;
    struct convolution_patches patches;
    bool mirrored, boxed, patched;
    struct convolution_map map;
    struct winograd_weights *winograd; /* NULL: by matrix products */
    bool bf16;                         /* products of bf16, else of f32 */
    int64_t taps;
    int64_t rows, row_chunks;             /* output channels of a chunk */
    int64_t panels, group, column_chunks; /* panels in all, of a chunk */
    int64_t tile_floats, chunk_floats;    /* sums of a register tile, of a chunk */
    int64_t outputs, parts, part_outputs; /* of all samples, of a part */
    size_t patches_at;                    /* in a desk: of a block */
    size_t y_at, x_at, sums_at;           /* a block's dy, a panel's x, sums where parts == 1 */
    size_t desk_bytes;                    /* workspace of a thread */
    int64_t bias_parts, bias_outputs;     /* outputs of a part */
    size_t bias_at, desks_at, parts_at;   /* in the workspace: sums of dy, desks, sums by parts */
    int threads;
    float alpha;
    bool wanted, bias_wanted; /* gradients of kernels, of biases */
};

/* One part of a chunk. */
struct convolution_weights_task {
    int64_t row, column; /* of the chunk, counted in chunks */
    int64_t begin, end;  /* outputs */
    float *sums;         /* (taps, panels of the chunk, register tiles) */
    char *desk;
};

/* Vectors of panel p of `panels` that hold `channels`, evenly; *channel is its first. */
int convolution_weights_panel(int64_t channels, int64_t panels, int64_t p, int64_t *channel);

/* Add a task's products to its sums. */
void convolution_weights_sum(const struct convolution_weights *s, const void *x, const void *dy,
                             const struct convolution_weights_task *task);

/* Add sums[t·step + j], times a, to the gradient of output channel `out`, input channels in … in +
 * count − 1, for all taps t. */
void convolution_weights_add(const struct convolution_weights *s, int64_t out, int64_t in,
                             int64_t count, const float *sums, int64_t step);

#endif
