/* Convolutions by cuDNN: the engine is chosen and its plan made once; the plan runs many times.
 *
 * The engine and its settings are those that cuDNN's heuristics name first for a batch of
 * CUDNN_CHOICE_BATCH of a 2-D convolution, or CUDNN_CHOICE_DEPTH slices of a 3-D one, whatever
 * there really are: then the order of every sum depends on a layer's slices alone. f32 convolutions
 * multiply in f32, never in TF32. Engines whose sums depend on timing, or that are compiled when a
 * plan is made, are passed over. */
#ifndef OCTPIPE_KERNELS_CUDA_CUDNN_PLAN_H
#define OCTPIPE_KERNELS_CUDA_CUDNN_PLAN_H

#include "kernels/cuda/cudnn_graph.h"

enum { CUDNN_CHOICE_BATCH = 16, CUDNN_CHOICE_DEPTH = 16 };

struct cudnn_plan;

/* Choose an engine and make its plan; NULL in *plan with a reason where there is none. */
const char *cudnn_plan_create(struct cudnn_plan **plan, const struct cudnn_convolution *convolution,
                              const struct cudnn_target *target);
void cudnn_plan_destroy(struct cudnn_plan *plan); /* NULL is fine */

size_t cudnn_plan_workspace(const struct cudnn_plan *plan);
bool cudnn_plan_uses_tensor_cores(const struct cudnn_plan *plan);

struct cudnn_maps {
    const void *x, *weights, *bias, *residual;
    void *y;
};

/* Put it in the handle's stream. */
const char *cudnn_plan_run(const struct cudnn_plan *plan, cudnnHandle_t handle,
                           const struct cudnn_maps *maps, void *workspace);

#endif
