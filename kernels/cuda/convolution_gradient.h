/* What the gradients of a convolution need around cuDNN's products, and what makes those that it
 * does not: transposed convolutions, and bf16 with f32. */
#ifndef OCTPIPE_KERNELS_CUDA_CONVOLUTION_GRADIENT_H
#define OCTPIPE_KERNELS_CUDA_CONVOLUTION_GRADIENT_H

#include "kernels/cuda/convolution_product.h"

/* The transpose of convolution_gather: dx = sums of the positions of the map that each of x's
 * stands at, + added where it is not NULL. */
const char *convolution_spread(const struct convolution_gather *gather, bool replicated,
                               const void *map, const void *added, void *dx);

/* dx of a forward operation, from its kernels (out, tap, channel of x) in f32. */
const char *convolution_direct_data(const struct operation *forward, const float *kernels,
                                    const void *dy, const void *added, void *dx);

/* Sums (part, out, tap, channel of x) of f32 over `parts` equal shares of dy's positions. */
const char *convolution_direct_weights(const struct operation *forward, const void *x,
                                       const void *dy, int64_t parts, float *sums);

/* Add *alpha (NULL: 1) times the sums, (part, out, tap, columns) f32 or bf16, to the gradients of
 * the kernels that are wanted. */
const char *convolution_add_weights(const struct operation *forward, struct tensor sums,
                                    const void *data, const float *alpha);

/* Add *alpha times the sums of dy over its positions to the gradients of the biases. `sums` has
 * room for convolution_bias_sums numbers. */
const char *convolution_add_bias(const struct operation *forward, const void *dy,
                                 const float *alpha, double *sums);
int64_t convolution_bias_sums(struct shape dy);

#endif
