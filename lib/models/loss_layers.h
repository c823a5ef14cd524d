/* Layers of losses, and of the networks that only losses need. They follow lib/models/layers.h. */
#ifndef OCTPIPE_MODELS_LOSS_LAYERS_H
#define OCTPIPE_MODELS_LOSS_LAYERS_H

#include "lib/models/layers.h"

/* weight·mean of a loss's terms (kernels/operation.h) → a scalar. `target` is like x and taken as a
 * constant; 0 where the loss has none. */
int layer_loss(struct builder *b, enum loss_kind kind, int x, int target, float weight);

/* Both terms of a vector quantizer's loss (MODEL.md "Vector quantizers", the legacy form): z and
 * the codes zq that it became, of the codebook under key. */
int layer_quantizer_loss(struct builder *b, int z, int zq, const char *key, int64_t codes);

/* x + y, of one shape; also of scalars. */
int layer_sum(struct builder *b, int x, int y);

/* A scalar, as an output of the graph. */
void layer_scalar_output(struct builder *b, int x);

/* An input of `count` slice numbers, f32; and those slices of x (1, d, h, w, c) → (1, count, h, w,
 * c). */
int layer_numbers(struct builder *b, int64_t count);
int layer_gather(struct builder *b, int x, int numbers);

int layer_leaky_relu(struct builder *b, int x, float slope);
int layer_max_pool(struct builder *b, int x);

/* Batch norm in training mode, eps 1e-5: statistics of the batch; running averages, momentum 0.1,
 * move where the weights are trained. */
int layer_batch_norm(struct builder *b, int x, const char *key);

/* One layer of LPIPS; the channels' weights (1, c, 1, 1) under key are constants. */
int layer_feature_distance(struct builder *b, int x, int y, const char *key);

/* For a loss of two terms, the second weighed against the first at the last layer (MODEL.md
 * "Training", λ): ‖d first‖/(‖d second‖ + 1e-4), at most 1e4, → a scalar, where d · is the gradient
 * by the kernel of `node`, a convolution that stands for that layer, and dy_first and dy_second
 * (kernels/operation.h) are the gradients of its output. memory: room for two such kernels, the
 * caller's, zero at first and again after each run. Add the two gradients with layer_weighted_sum
 * and differentiate on from there (gradient.h, seeds). */
int layer_adaptive_weight(struct builder *b, int node, int dy_first, int dy_second,
                          float *const memory[2]);

/* x + weight·scalar·y, x and y of one shape. It is for gradients: it has none itself. */
int layer_weighted_sum(struct builder *b, int x, int y, float weight, int scalar);

#endif
