/* What cuDNN multiplies of a convolution, and the weights as it takes them: shared by
 * OP_CONVOLUTION and its gradients. */
#ifndef OCTPIPE_KERNELS_CUDA_CONVOLUTION_PRODUCT_H
#define OCTPIPE_KERNELS_CUDA_CONVOLUTION_PRODUCT_H

#include "kernels/cuda/convolution.h"

/* Channels of a vector of 16 bytes of bf16, and the fewest for which tensor cores are used. */
enum { CONVOLUTION_VECTOR = 8 };

struct convolution_product {
    struct cudnn_convolution of;      /* without bias and residual */
    struct convolution_gather gather; /* from x to the map that is multiplied */
    bool gathers;                     /* else x is that map, */
    int64_t skip;                     /* after so many bytes */
};

/* Of a forward operation that check_convolution passes; not transposed. */
struct convolution_product convolution_product(const struct operation *forward);

int64_t convolution_taps(const struct convolution *convolution);

/* The kernels of all parts, one after another: (out, tap, columns) of a type, times *alpha where it
 * is not NULL; zero in columns beyond the input's channels. */
const char *convolution_pack_kernels(const struct operation *forward, int64_t columns,
                                     enum dtype dtype, const float *alpha, char *prepared,
                                     void *scratch);

/* sigmoid of the mix factor to *alpha, where the convolution has one. */
const char *convolution_pack_mix(const struct operation *forward, float *alpha, void *scratch);

/* The most bytes that a weight of the operation has in its file. */
size_t convolution_scratch(const struct operation *operation);

#endif
