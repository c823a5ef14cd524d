/* 3×3 and 3×3×3 convolutions with stride 1 in f32 by Winograd's F(4×4, 3×3): a tile of 4×4 outputs
 * takes 36 products of transformed inputs and weights where the sum itself takes 144. A 3×3×3
 * kernel is transformed in the plane of a slice and its three planes are summed between the
 * transforms. Zero and replicate padding of any width below the kernel's. */
#ifndef OCTPIPE_KERNELS_CPU_WINOGRAD_H
#define OCTPIPE_KERNELS_CPU_WINOGRAD_H

#include "kernels/operation.h"

struct winograd;

/* What one run reads and writes: output = conv + bias + beta·residual; residual may be NULL or
 * the output itself. */
struct winograd_call {
    const float *input, *residual, *bias;
    const void *weights; /* packed */
    float *output, beta;
    void *workspace;
};

/* True where Winograd takes this convolution, and takes it faster than direct products: decided by the shape
 * of one sample (of one slice of a 2-D convolution) alone. */
bool winograd_suits(const struct operation *operation);

/* Adds to prepared the bytes of packed weights, to workspace those of a run. Returns NULL or a
 * static reason. */
const char *winograd_create(struct winograd **winograd, const struct operation *operation,
                            struct needs *needs);
void winograd_destroy(struct winograd *winograd); /* NULL is fine */

/* Pack f32 weights (out, in, [3,] 3, 3). */
void winograd_pack(const struct winograd *winograd, const float *weights, void *packed);

void winograd_run(const struct winograd *winograd, const struct winograd_call *call);

#endif
