/* The operations of octpipe's networks and what a backend must provide for each. Those that only
 * training needs are described in kernels/training_operation.h.
 *
 * An operation is plain data: kind, attributes, the tensors it reads and writes, the weights it
 * needs. A backend has one `struct kernel` per kind. The engine calls, in this order:
 *   create   choose the algorithm; say how many bytes of prepared weights, scratch, workspace
 *   prepare  pack the weights into memory the engine gives (once; in training before every run,
 *            since weights change)
 *   run      compute (many times)
 *   destroy
 * Functions return NULL on success or a static string that says what went wrong.
 *
 * Determinism: algorithm, blocking and order of summation depend only on the operation with
 * n = 1 (and d = 1 where the operation treats slices one by one), the precision and the
 * instruction set, never on the batch, the number of threads, or timing. Sums over a batch (losses,
 * gradients of weights, batch norms) depend on the batch too, never on threads or timing.
 */
#ifndef OCTPIPE_KERNELS_OPERATION_H
#define OCTPIPE_KERNELS_OPERATION_H

#include "kernels/optimizer.h"
#include "kernels/tensor.h"
#include "kernels/training_operation.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    OPERATION_INPUTS = 4,  /* at most */
    OPERATION_WEIGHTS = 6, /* at most */
    WEIGHT_RANK = 5,
};

/* A weight tensor as its file holds it: (out, in, [kd,] kh, kw) for a convolution,
 * (in, out, kd, kh, kw) transposed, (out, in[, 1]) linear, (c) norms, biases and mix factors,
 * (codes, c) a codebook. dtype is F32, F16 or BF16; data stays owned by the weight file. */
struct weight {
    const void *data;
    enum dtype dtype;
    int rank;
    int64_t shape[WEIGHT_RANK];
    bool mapped; /* pages of a file: the engine may drop them once they are packed */
};

enum operation_kind {
    OP_TO_CHANNELS_LAST,
    OP_TO_SLICE_MAJOR,
    OP_CAST,
    OP_CONVOLUTION,
    OP_CONVOLUTION_PAIR,
    OP_GROUP_NORM,
    OP_RESAMPLE,
    OP_ATTENTION,
    OP_LINEAR,
    OP_TIMESTEP_EMBEDDING,
    OP_QUANTIZE,
    OP_POOL,
    OP_CONCATENATE,
    /* Differentiation: what a gradient is made of. */
    OP_CONVOLUTION_DATA,
    OP_CONVOLUTION_WEIGHTS,
    OP_MIX_GRADIENT,
    OP_GROUP_NORM_SUMS,
    OP_GROUP_NORM_DATA,
    OP_GROUP_NORM_WEIGHTS,
    OP_ATTENTION_DATA,
    OP_LINEAR_DATA,
    OP_LINEAR_WEIGHTS,
    OP_CODEBOOK_WEIGHTS,
    OP_ADD,
    OP_FILL,
    /* Training: losses, and the networks that only losses need. */
    OP_LOSS,
    OP_LOSS_DATA,
    OP_GATHER,
    OP_SCATTER,
    OP_LEAKY_RELU,
    OP_LEAKY_RELU_DATA,
    OP_MAX_POOL,
    OP_MAX_POOL_DATA,
    OP_FEATURE_DISTANCE,
    OP_FEATURE_DISTANCE_DATA,
    OP_RUNNING_MOMENTS,
    OP_ADAPTIVE_WEIGHT,
    OPERATION_KINDS,
};

enum axis { AXIS_D, AXIS_H, AXIS_W, AXES };

enum padding { PADDING_ZERO, PADDING_REPLICATE };

/* OP_CONVOLUTION: cross-correlation of input 0, a 2-D one where kernel and stride along d are 1.
 * weight 0, 1: kernel and bias (bias.rank == 0: none). With parts > 1 weights 2k and 2k+1 are the
 * kernel and bias of part k, and the outputs are stacked along c. Input channels first_channel,
 * first_channel+1, … of the kernel are used (a slice of a 1×1 skip over a concatenation).
 * With `residual`, input 1 has the output's shape and is added. Pads along d may be negative where
 * n is 1: slices at the ends of the output are left out; the residual may then have slices more
 * than the output, whose slice z adds slice residual_slice + z. With `mix`, weight 2 is a scalar m,
 * a = sigmoid(m): output = a·conv + (1−a)·residual (MODEL.md, multi-slice decoder).
 * upsampled: the input is read as if each position stood twice along the axis, before padding
 * (nearest ×2 upsampling, never stored). transposed: the input is padded first, then output extent
 * = (padded − 1)·stride − 2·crop + kernel, where crop is what frameworks call the padding of a
 * transposed convolution; crop ≥ kernel − stride, so that every output position sees only the
 * padded input.
 * norm_epsilon > 0: a batch norm follows, whose weight, bias, mean and variance are weights 2 to 5;
 * it is folded into kernel and bias. Then there is one kernel, neither transposed nor mixed. relu:
 * last of all, what is below 0 becomes 0. Both are for inference: they have no gradient. */
struct convolution {
    int kernel[AXES], stride[AXES], pad_front[AXES], pad_back[AXES], crop[AXES];
    enum padding padding;
    bool upsampled[AXES];
    bool transposed, residual, mix, relu;
    float norm_epsilon;
    int parts;
    int64_t first_channel, residual_slice;
};

/* Extent of a convolution's output along an axis. */
static inline int64_t convolution_extent(const struct convolution *c, int axis, int64_t extent)
{
    int64_t padded = (extent << c->upsampled[axis]) + c->pad_front[axis] + c->pad_back[axis];
    return c->transposed ? (padded - 1) * c->stride[axis] - 2 * c->crop[axis] + c->kernel[axis]
                         : (padded - c->kernel[axis]) / c->stride[axis] + 1;
}

/* OP_CONVOLUTION_PAIR: convolution pair[0] of input 0 with kernel and bias in weights 0 and 1, then
 * pair[1] of its result, which has the input's type, with weights 2 and 3. Neither is transposed,
 * upsampled along d, or has residual, mix, parts, norm or relu. The result is, bit for bit, that of
 * two OP_CONVOLUTIONs that do not go through Winograd; but of the map between them, which may be
 * the largest of a network, only those slices are in memory that the second convolution sees for a
 * batch of its slices: as many of these as make 2^14 outputs, at least one. */

/* Resampling of maps: nearest-neighbour ×2 or mean of 2; d takes part only in 3-D networks. */
enum resampling { RESAMPLE_NONE, RESAMPLE_UP, RESAMPLE_DOWN };

enum { GROUP_NORM_SOURCES = 2 };

/* OP_GROUP_NORM over the channel concatenation of `sources` (1 or 2) inputs:
 *   y = (x − mean)/√(variance + epsilon)·weight0 + weight1, then ·(1 + scale) + shift where input
 *   [sources] is given (scale_shift: (n or 1, 1, 1, 1, 2c), scale first), then SiLU, then
 *   resampling. per_slice: statistics of each slice by itself; else over all d slices; per_batch:
 *   over all samples too, without scale_shift (with groups of one channel a batch norm in training
 *   mode).
 * In OP_GROUP_NORM_DATA, `source` is the source whose gradient is made. */
struct group_norm {
    int groups, sources, source;
    float epsilon;
    bool scale_shift, silu, per_slice, per_batch;
    enum resampling resampling;
    bool resample_depth;
};

/* OP_RESAMPLE of input 0. gradient: the transpose of the opposite resampling, so DOWN is a sum
 * instead of a mean, and UP copies a quarter (an eighth with depth). */
struct resample {
    enum resampling resampling;
    bool resample_depth, gradient;
};

/* OP_ATTENTION: input 0 holds, head by head, q, k and v (c = 3·heads·width); output c =
 * heads·width. softmax(scale·q·kᵀ)·v over the tokens of a sample (of a slice with per_slice). */
struct attention {
    int heads;
    float scale;
    bool per_slice;
};

/* OP_LINEAR: y = weight0·f(x) + weight1 over c, f = SiLU where asked; always f32. */
struct linear {
    bool silu_input;
};

/* OP_TIMESTEP_EMBEDDING: input 0 (n,1,1,1,1) f32 timesteps → [cos(t·f), sin(t·f)],
 * f_i = 10000^(−i/half), half = c/2; f32. No attributes.
 * OP_TO_CHANNELS_LAST: channels of the inputs one after another, to channels-last and the output's
 * dtype. No attributes. OP_TO_SLICE_MAJOR: the way back, to f32, of as many channels as the output
 * has, from to_slice_major.first_channel on.
 * OP_CAST: between f32 and bf16, to nearest, ties to even. No attributes.
 * OP_QUANTIZE: weight 0 is the codebook (codes, c); each pixel becomes its nearest code, searched
 * in f32 as Σ(z−e)², the lowest index wins. No attributes; input and output f32.
 * OP_CONCATENATE: the channels of the inputs, channels-last maps of one type, one after another. No
 * attributes. */
enum { QUANTIZE_CODES = INT32_MAX - 4096 /* at most */ };

/* OP_POOL: the maximum, or the mean, of size × size positions along h and w; what lies in the
 * padding, which is below the size, counts for neither. f32. */
enum pooling { POOL_MAXIMUM, POOL_MEAN };
struct pool {
    enum pooling pooling;
    int size, stride, pad;
};

/* Extent of a pooled map along h or w. */
static inline int64_t pool_extent(const struct pool *p, int64_t extent)
{
    return (extent + 2 * p->pad - p->size) / p->stride + 1;
}

/* See OP_TO_SLICE_MAJOR. */
struct to_slice_major {
    int64_t first_channel;
};

struct operation {
    enum operation_kind kind;
    int inputs, weights;
    struct tensor input[OPERATION_INPUTS];
    struct tensor output;
    struct weight weight[OPERATION_WEIGHTS];
    /* Sums of f32 in the shapes of the weights, in memory of the backend that the caller owns;
     * NULL: not wanted. */
    float *gradient[OPERATION_WEIGHTS];
    union {
        struct convolution convolution;
        struct convolution pair[2];
        struct group_norm group_norm;
        struct resample resample;
        struct attention attention;
        struct linear linear;
        struct to_slice_major to_slice_major;
        struct pool pool;
        struct add add;
        struct fill fill;
        struct loss loss;
        struct leaky_relu leaky_relu;
        struct running_moments running_moments;
        struct adaptive_weight adaptive_weight;
    };
};

/* Bytes an operation needs besides its inputs and its output; each block is 64-byte aligned. */
struct needs {
    size_t prepared;       /* packed weights, kept from prepare to the last run */
    size_t scratch;        /* only during prepare */
    size_t workspace;      /* only during run */
    const char *algorithm; /* a static name where the kernel chooses among several, else NULL */
};

struct kernel {
    /* in_place says that run accepts output == inputs[i] for the input named here (−1: none). */
    const char *(*create)(const struct operation *, void **state, struct needs *, int *in_place);
    const char *(*prepare)(void *state, const struct operation *, void *prepared, void *scratch);
    const char *(*run)(void *state, const void *const *inputs, void *output, void *workspace);
    void (*destroy)(void *state);
};

/* The queues of a backend whose kernels work on memory of its own. In each of them everything is
 * done in the order of the calls, and nothing waits for another's but by `follow`. */
enum lane {
    LANE_WORK, /* kernels */
    LANE_IN,   /* copies to the backend's memory beside the work, */
    LANE_OUT,  /* and from it */
    LANE_COUNT,
};

/* What such a backend has. Everything is put in a queue, so that run returns before its work is
 * done. Copies are from and to either's memory; beside the work only from and to host_allocate's.
 */
struct queue {
    const char *(*copy)(enum lane lane, void *to, const void *from, size_t bytes);
    const char *(*clear)(void *memory, size_t bytes); /* in LANE_WORK */
    /* Until all work is done; the reason where something has failed since the last call. */
    const char *(*wait)(void);
    /* What is put in `lane` from now on begins when what is in `before` now is done. */
    const char *(*follow)(enum lane lane, enum lane before);
    /* Mark what is in LANE_OUT now, *mark being made where it is NULL; later wait as above, for
     * what is marked alone. */
    const char *(*mark)(void **mark);
    const char *(*await)(void *mark);
    void (*unmark)(void *mark);
    /* What run puts in the queue between begin and end, kept for replay, which does it again on the
     * same memory. Between them nothing is done. */
    const char *(*record_begin)(void);
    const char *(*record_end)(void **recording);
    const char *(*replay)(void *recording);
    void (*forget)(void *recording);
    /* The host's memory that the device reaches by itself; NULL when there is none. */
    void *(*host_allocate)(size_t bytes);
    void (*host_release)(void *memory);
};

/* What one multiprocessor makes of a product at a time, as tensor cores' engines like it. */
enum { TILE_POSITIONS = 128, TILE_CHANNELS = 128 };

/* A backend: a name, one kernel per kind, and memory that its kernels can reach. `prepare` reads
 * weights from the host's memory or the backend's; gradients, prepared, scratch, workspace, inputs
 * and outputs are the backend's. */
struct backend {
    const char *name;       /* "cpu", "cuda" */
    const char *device;     /* in words, for messages */
    enum dtype activations; /* F32 or BF16: where the user leaves the choice */
    int multiprocessors;    /* that share a product's tiles; 0: batches need not fill any */
    bool (*multiplies_bf16)(void);
    const struct kernel *kernel[OPERATION_KINDS]; /* NULL: not there */
    void *(*allocate)(size_t bytes); /* 64-byte aligned, untouched pages; NULL when there is none */
    void (*release)(void *memory, size_t bytes);
    const struct queue *queue; /* NULL: memory is the host's, and run returns when it is done */
    const struct optimizer *optimizer;
};

/* The CPU backend; always there. */
const struct backend *backend_cpu(void);

/* What a shared object with a backend exports as BACKEND_OPEN: the backend on device `number`,
 * for the rest of the process; NULL where there is none, and why. `interface` is a checksum of
 * kernels' headers, which both must have been built with. */
typedef const struct backend *backend_open(unsigned interface, int number, const char **why);
#define BACKEND_OPEN "octpipe_backend_open"

/* True where the processor multiplies bf16 itself (AVX-512 BF16 or AMX). */
bool cpu_has_bf16(void);

/* "avx512", "avx2" or "portable": the instruction set that octpipe's own kernels use here. */
const char *cpu_instruction_set(void);

#endif
