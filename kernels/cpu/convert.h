/* Element types to f32 and back. */
#ifndef OCTPIPE_KERNELS_CPU_CONVERT_H
#define OCTPIPE_KERNELS_CPU_CONVERT_H

#include "kernels/operation.h"

/* Elements first … first+count−1 of an F32, F16 or BF16 weight as f32; the data may lie at any
 * address. */
void weight_to_f32(const struct weight *weight, int64_t first, int64_t count, float *out);

/* Rows of bf16, to nearest, ties to even; NaN stays NaN. */
void f32_to_bf16(const float *from, uint16_t *to, int64_t count);
void bf16_to_f32(const uint16_t *from, float *to, int64_t count);

/* count elements of an f32 or bf16 array, from element `first` on, as f32: where they lie, or
 * converted into `buffer`. */
const float *activation_to_f32(const void *data, enum dtype dtype, int64_t first, int64_t count,
                               float *buffer);

#endif
