/* The CUDA convolution: cuDNN's product, with our kernels around it where it does not do all.
 *
 * A plan of cuDNN takes a dense map, pads it with zeros, and adds bias and residual. Before it
 * `convolution_gather` writes out what else the product reads: replicated edges, upsampled
 * positions, zeros for channels that fill a vector. After it `convolution_finish` adds a residual
 * with a factor. Convolutions to few channels and transposed ones are made by
 * `convolution_direct`. */
#ifndef OCTPIPE_KERNELS_CUDA_CONVOLUTION_H
#define OCTPIPE_KERNELS_CUDA_CONVOLUTION_H

#include "kernels/cuda/cuda.h"

/* Dense channels-last map `to`, from an input map of the same type: position p of an axis is
 * input position (p − front) >> upsampled, the nearest one where that lies outside. Channels beyond
 * the input's are zero. */
struct convolution_gather {
    struct shape in, to;
    int front[AXES];
    bool upsampled[AXES];
    enum dtype dtype;
};
const char *convolution_gather(const struct convolution_gather *gather, const void *input,
                               void *output);

/* output = output + (1 − *alpha)·residual, `count` elements of the type. */
const char *convolution_finish(const float *alpha, const void *residual, void *output,
                               int64_t count, enum dtype dtype);

/* Of a mix factor m on the device: sigmoid(m). */
const char *convolution_alpha(const float *mix, float *alpha);

/* Outputs made one by one by sums over taps and channels: all that OP_CONVOLUTION says but parts,
 * f32 or bf16 to either. Weights: (tap, channel, columns) f32, bias (columns) f32, zero beyond the
 * outputs; alpha: NULL or the mix on the device, by which weights and bias have been multiplied;
 * residual: NULL or like the output, which may be its place. */
struct convolution_direct {
    struct convolution attributes;
    struct tensor in, out;
};
const char *convolution_direct(const struct convolution_direct *direct, const void *input,
                               const float *weights, const float *bias, const float *alpha,
                               const void *residual, void *output);

/* Outputs rounded up to what a thread makes at once. */
int64_t convolution_direct_columns(int64_t out);

#endif
