/* 3×3 and 3×3×3 convolutions with stride 1 by Winograd's F(4×4, 3×3), in f32: a tile of 4×4 outputs
 * takes 36 products of transformed inputs and weights where the sum itself takes 144. A 3×3×3
 * kernel is transformed in the plane of a slice and its planes are summed between the transforms.
 * Zero and replicate padding of any width below the kernel's.
 *
 * Inputs and weights may be bf16, whose values f32 holds: products and sums stay f32, and only the
 * finished output is rounded. An input upsampled along h and w is read as it is; along d its even
 * and odd slices see two planes each, of which one is the sum of two of the kernel's, so that 2/3
 * of the products are left. */
#ifndef OCTPIPE_KERNELS_CPU_WINOGRAD_H
#define OCTPIPE_KERNELS_CPU_WINOGRAD_H

#include "kernels/cpu/kernel_taps.h"
#include "kernels/operation.h"

struct winograd;

/* What one run reads and writes: output = conv + bias + beta·residual, then ReLU where the
 * convolution has it; residual may be NULL or the output itself. */
struct winograd_call {
    const void *input, *residual; /* input in its type, residual in the output's */
    const float *bias;
    const void *weights; /* packed */
    void *output;
    float beta;
    void *workspace;
};

/* True where Winograd takes this convolution, and takes it faster than direct products: decided by
 * type and shape of one sample (of one slice of a 2-D convolution) alone. */
bool winograd_suits(const struct operation *operation);

/* Adds to prepared the bytes of packed weights, to workspace those of a run. Returns NULL or a
 * static reason. */
const char *winograd_create(struct winograd **winograd, const struct operation *operation,
                            struct needs *needs);
void winograd_destroy(struct winograd *winograd); /* NULL is fine */

void winograd_pack(const struct winograd *winograd, const struct kernel_taps *kernel, void *packed);

void winograd_run(const struct winograd *winograd, const struct winograd_call *call);

#endif
