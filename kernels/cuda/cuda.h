/* The CUDA kernels, and what they share: the device, the queue, errors, blocks of memory.
 *
 * Maps are channels-last in the device's memory; kernels only put work in the queue. What a kernel
 * needs of the device, it asks of cuda_device(). Sums are f32; their order, like the choice of
 * every algorithm, follows from one sample's shape. */
#ifndef OCTPIPE_KERNELS_CUDA_CUDA_H
#define OCTPIPE_KERNELS_CUDA_CUDA_H

#include "kernels/check_training.h"
#include "kernels/cuda/cudnn_plan.h"
#include "kernels/needs.h"

#include <cuda_runtime_api.h>

extern const struct optimizer cuda_optimizer;

extern const struct kernel cuda_to_channels_last;
extern const struct kernel cuda_to_slice_major;
extern const struct kernel cuda_cast;
extern const struct kernel cuda_convolution;
extern const struct kernel cuda_convolution_pair;
extern const struct kernel cuda_group_norm;
extern const struct kernel cuda_resample;
extern const struct kernel cuda_attention;
extern const struct kernel cuda_linear;
extern const struct kernel cuda_timestep_embedding;
extern const struct kernel cuda_quantize;
extern const struct kernel cuda_convolution_data;
extern const struct kernel cuda_convolution_weights;
extern const struct kernel cuda_mix_gradient;
extern const struct kernel cuda_group_norm_sums;
extern const struct kernel cuda_group_norm_data;
extern const struct kernel cuda_group_norm_weights;
extern const struct kernel cuda_attention_data;
extern const struct kernel cuda_linear_data;
extern const struct kernel cuda_linear_weights;
extern const struct kernel cuda_codebook_weights;
extern const struct kernel cuda_add;
extern const struct kernel cuda_fill;
extern const struct kernel cuda_loss;
extern const struct kernel cuda_loss_data;
extern const struct kernel cuda_gather;
extern const struct kernel cuda_scatter;
extern const struct kernel cuda_leaky_relu;
extern const struct kernel cuda_max_pool;
extern const struct kernel cuda_max_pool_data;
extern const struct kernel cuda_feature_distance;
extern const struct kernel cuda_feature_distance_data;
extern const struct kernel cuda_running_moments;
extern const struct kernel cuda_adaptive_weight;

/* What a kernel can find wrong with the values that it works on. */
enum cuda_trouble { TROUBLE_NONE, TROUBLE_SLICE, TROUBLE_CODE };

struct cuda_device {
    cudaStream_t stream;           /* of LANE_WORK */
    cudaStream_t lane[LANE_COUNT]; /* all of them */
    cudaEvent_t done[LANE_COUNT];  /* what one lane waits for in another */
    struct cudnn_target target;
    int multiprocessors;
    /* Where kernels say what is wrong: in the host's memory, mapped; wait() turns it into words. */
    enum cuda_trouble *trouble;
};

/* The device of the process, since the backend was opened. */
const struct cuda_device *cuda_device(void);

/* What CUDA says of a failure, which is then forgotten where the device still works; NULL of a
 * success. */
const char *cuda_error(cudaError_t status);

/* Whether the last launch was accepted. */
const char *cuda_launched(void);

/* needs_reserve at multiples of 256 bytes. */
size_t cuda_reserve(size_t *total, int64_t count, int64_t size);

/* Elements and bytes of a weight as its file holds it. */
int64_t weight_count(const struct weight *weight);
int64_t weight_bytes(const struct weight *weight);

/* Upload a weight to `scratch` (weight_bytes) and convert it: prepared[…] of a type and in an order
 * that `pack` gives, the product of scale and value, zero outside of the weight. */
enum { PACK_AXES = 5 };
struct pack {
    int64_t extent[PACK_AXES]; /* of the result, the last one fastest */
    int64_t stride[PACK_AXES]; /* in the weight, of a step along each; 0 < extent */
    int64_t limit[PACK_AXES];  /* positions beyond are zero */
    int64_t first;             /* the weight's element for position 0 */
    enum dtype dtype;          /* F32 or BF16 */
    const float *scale;        /* one number in the device's memory; NULL: 1 */
};
const char *cuda_pack(const struct weight *weight, const struct pack *pack, void *prepared,
                      void *scratch);

/* A vector of `count` elements as it is. */
const char *cuda_pack_vector(const struct weight *weight, int64_t count, enum dtype dtype,
                             const float *scale, void *prepared, void *scratch);

/* Weights 0 and 1, a norm's weight (c) and bias (c), as f32, one after the other. */
const char *cuda_pack_norm(const struct operation *operation, int64_t c, float *affine,
                           void *scratch);

#endif
