/* What every backend asks of an operation before it creates a kernel for it: that its tensors,
 * weights and attributes fit together as kernels/operation.h says.
 *
 * The checks of whole operations return NULL, or a static string that says what is wrong. */
#ifndef OCTPIPE_KERNELS_CHECK_H
#define OCTPIPE_KERNELS_CHECK_H

#include "kernels/operation.h"

/* True for a channels-last f32 or bf16 tensor without empty axes. */
bool tensor_is_activation(const struct tensor *tensor);

/* True for a channels-last f32 tensor without empty axes. */
bool tensor_is_f32(const struct tensor *tensor);

/* True where n, d, h and w agree. */
bool tensor_same_map(const struct tensor *a, const struct tensor *b);

/* True for a weight of shape (count). */
bool weight_is_vector(const struct weight *weight, int64_t count);

const char *check_to_channels_last(const struct operation *operation);
const char *check_to_slice_major(const struct operation *operation);
const char *check_cast(const struct operation *operation);
const char *check_convolution(const struct operation *operation);
const char *check_convolution_pair(const struct operation *operation);
const char *check_group_norm(const struct operation *operation);
const char *check_resample(const struct operation *operation);
const char *check_attention(const struct operation *operation);
const char *check_linear(const struct operation *operation);
const char *check_timestep_embedding(const struct operation *operation);
const char *check_quantize(const struct operation *operation);
const char *check_pool(const struct operation *operation);
const char *check_concatenate(const struct operation *operation);

/* The extents of a resampling ×2 or by half from `in` to `out`. */
const char *check_resampling(const struct tensor *in, const struct tensor *out,
                             enum resampling resampling, bool depth);

/* Convolution 0 or 1 of a pair as an operation of its own, with the map between them. */
struct operation convolution_half(const struct operation *pair, int half);

#endif
