/* Convolutions in the words of cuDNN's backend graph API. */
#ifndef OCTPIPE_KERNELS_CUDA_CUDNN_GRAPH_H
#define OCTPIPE_KERNELS_CUDA_CUDNN_GRAPH_H

#include "kernels/cuda/cudnn_bag.h"
#include "kernels/tensor.h"

#include <stdbool.h>
#include <stddef.h>

enum { CUDNN_AXES = 3, CUDNN_MAP_ALIGNMENT = 16 /* bytes */ };

/* What is made of a convolution y = conv(x): y, dx of dy, or the weights' gradient dw of x and dy.
 */
enum cudnn_product { CUDNN_MAKES_Y, CUDNN_MAKES_DX, CUDNN_MAKES_DW };

/* Cross-correlation with zero padding: y = conv(x), + bias, + residual where these are asked for;
 * or one of its gradients, without them. All maps are dense and channels-last, weights (out,
 * kernel…, c) in the input's type, dw too, the bias in that of y. With dims 2 the axes are h, w,
 * else d, h, w. */
struct cudnn_convolution {
    enum cudnn_product makes;
    int dims;
    int64_t n, c, out, extent[CUDNN_AXES];
    int64_t kernel[CUDNN_AXES], stride[CUDNN_AXES], front[CUDNN_AXES], back[CUDNN_AXES];
    enum dtype in_type, out_type; /* of x and weights; of y and residual */
    bool bias, residual;
};

/* What a plan is made for: a device that is there, or one described in words (JSON) on a machine
 * without. Exactly one of them. */
struct cudnn_target {
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t described;
};

/* A target from a description as cuDNN writes it (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION). */
const char *cudnn_target_describe(struct cudnn_target *target, const char *json);

/* Names of the stored tensors in a graph, and of what lies between. */
enum {
    CUDNN_NAME_X = 1,
    CUDNN_NAME_WEIGHTS,
    CUDNN_NAME_Y,
    CUDNN_NAME_BIAS,
    CUDNN_NAME_RESIDUAL,
    CUDNN_NAME_PRODUCT,
    CUDNN_NAME_SUM,
};

/* The graph conv → + residual → + bias of a convolution, or that of its gradient. */
cudnnBackendDescriptor_t cudnn_graph_new(struct bag *bag,
                                         const struct cudnn_convolution *convolution,
                                         const struct cudnn_target *target);

#endif
