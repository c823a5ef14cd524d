/* Convolutions by cuDNN's backend graph API: the engine is chosen and its plan made once; the plan
 * runs many times.
 *
 * The engine and its settings are those that cuDNN's heuristics name first for a batch of 16 of a
 * 2-D convolution, or 16 slices of a 3-D one, whatever there really are: then the order of every
 * sum depends on a layer's slices alone. f32 convolutions multiply in f32, never in TF32. Engines
 * whose sums depend on timing, or that are compiled when a plan is made, are passed over. */
#ifndef OCTPIPE_KERNELS_CUDA_CUDNN_GRAPH_H
#define OCTPIPE_KERNELS_CUDA_CUDNN_GRAPH_H

#include "kernels/tensor.h"

#include <cudnn.h>
#include <stdbool.h>
#include <stddef.h>

enum { CUDNN_AXES = 3 };

/* Cross-correlation with zero padding: y = conv(x), + bias, + residual where these are asked for.
 * All maps are dense and channels-last, weights (out, kernel…, c) in the input's type, the
 * bias in that of y.
 * With dims 2 the axes are h, w, else d, h, w. */
struct cudnn_convolution {
    int dims;
    int64_t n, c, out, extent[CUDNN_AXES];
    int64_t kernel[CUDNN_AXES], stride[CUDNN_AXES], front[CUDNN_AXES], back[CUDNN_AXES];
    enum dtype in_type, out_type; /* of x and weights; of y and residual */
    bool bias, residual;
};

struct cudnn_plan;

/* What a plan is made for: a device that is there, or one described in words (JSON) on a machine
 * without. Exactly one of them. */
struct cudnn_target {
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t described;
};

/* A target from a description as cuDNN writes it (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION). */
const char *cudnn_target_describe(struct cudnn_target *target, const char *json);

/* Choose an engine and make its plan; NULL in *plan with a reason where there is none. */
const char *cudnn_plan_create(struct cudnn_plan **plan, const struct cudnn_convolution *convolution,
                              const struct cudnn_target *target);
void cudnn_plan_destroy(struct cudnn_plan *plan); /* NULL is fine */

size_t cudnn_plan_workspace(const struct cudnn_plan *plan);
bool cudnn_plan_uses_tensor_cores(const struct cudnn_plan *plan);
int cudnn_plan_engine(const struct cudnn_plan *plan);

struct cudnn_maps {
    const void *x, *weights, *bias, *residual;
    void *y;
};

/* Put it in the handle's stream. */
const char *cudnn_plan_run(const struct cudnn_plan *plan, cudnnHandle_t handle,
                           const struct cudnn_maps *maps, void *workspace);

#endif
