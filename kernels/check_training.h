/* What every backend asks of an operation that only training needs, as kernels/check.h does of the
 * others. */
#ifndef OCTPIPE_KERNELS_CHECK_TRAINING_H
#define OCTPIPE_KERNELS_CHECK_TRAINING_H

#include "kernels/check.h"

/* Inputs 0 … inputs−1 are f32 or bf16 of one layout and shape. */
const char *check_elementwise(const struct operation *operation, int inputs);

/* The forward operation of a gradient of x and dy: its kernels, input x and output y. The residual
 * is like the output. */
struct operation convolution_forward(const struct operation *gradient, struct tensor x,
                                     struct tensor y);

const char *check_convolution_data(const struct operation *operation);
const char *check_convolution_weights(const struct operation *operation);
const char *check_mix_gradient(const struct operation *operation);
const char *check_group_norm_sums(const struct operation *operation);
const char *check_group_norm_data(const struct operation *operation);
const char *check_group_norm_weights(const struct operation *operation);
const char *check_attention_data(const struct operation *operation);
const char *check_linear_data(const struct operation *operation);
const char *check_linear_weights(const struct operation *operation);
const char *check_codebook_weights(const struct operation *operation);
const char *check_add(const struct operation *operation);
const char *check_fill(const struct operation *operation);
const char *check_loss(const struct operation *operation);             /* and its gradient */
const char *check_gather(const struct operation *operation);           /* and its transpose */
const char *check_leaky_relu(const struct operation *operation);       /* and its gradient */
const char *check_max_pool(const struct operation *operation);         /* and its gradient */
const char *check_feature_distance(const struct operation *operation); /* and its gradient */
const char *check_running_moments(const struct operation *operation);
const char *check_adaptive_weight(const struct operation *operation);

/* Inputs before dL: x, and t where the loss has a target. */
int loss_terms(enum loss_kind kind);

/* Sets of values that share statistics in a norm of a map (n, d, h, w). */
int64_t group_norm_set_count(const struct group_norm *norm, struct shape map);

/* Elements of a weight; 0 where there is none. */
int64_t weight_elements(const struct weight *weight);

#endif
