/* The CPU kernels, and what they share: blocks of memory, thread teams. */
#ifndef OCTPIPE_KERNELS_CPU_CPU_H
#define OCTPIPE_KERNELS_CPU_CPU_H

#include "kernels/check.h"
#include "kernels/needs.h"

#include <omp.h>

extern const struct optimizer cpu_optimizer;

extern const struct kernel cpu_to_channels_last;
extern const struct kernel cpu_to_slice_major;
extern const struct kernel cpu_cast;
extern const struct kernel cpu_convolution;
extern const struct kernel cpu_convolution_pair;
extern const struct kernel cpu_convolution_data;
extern const struct kernel cpu_convolution_weights;
extern const struct kernel cpu_group_norm;
extern const struct kernel cpu_resample;
extern const struct kernel cpu_attention;
extern const struct kernel cpu_linear;
extern const struct kernel cpu_timestep_embedding;
extern const struct kernel cpu_quantize;
extern const struct kernel cpu_pool;
extern const struct kernel cpu_concatenate;
extern const struct kernel cpu_mix_gradient;
extern const struct kernel cpu_group_norm_sums;
extern const struct kernel cpu_group_norm_data;
extern const struct kernel cpu_group_norm_weights;
extern const struct kernel cpu_attention_data;
extern const struct kernel cpu_linear_data;
extern const struct kernel cpu_linear_weights;
extern const struct kernel cpu_codebook_weights;
extern const struct kernel cpu_add;
extern const struct kernel cpu_fill;
extern const struct kernel cpu_loss;
extern const struct kernel cpu_loss_data;
extern const struct kernel cpu_gather;
extern const struct kernel cpu_scatter;
extern const struct kernel cpu_leaky_relu; /* and its gradient */
extern const struct kernel cpu_max_pool;
extern const struct kernel cpu_max_pool_data;
extern const struct kernel cpu_feature_distance;
extern const struct kernel cpu_feature_distance_data;
extern const struct kernel cpu_running_moments;
extern const struct kernel cpu_adaptive_weight;

/* needs_reserve at multiples of 64 bytes. */
size_t cpu_reserve(size_t *total, int64_t count, int64_t size);

/* Copy a state to the heap, for create; NULL when memory is out. */
void *cpu_keep(const void *state, size_t bytes);

/* Threads for a loop of about `work` simple operations: one for a small loop, since waking the
 * others takes longer, else the most that run may use, at most `planned`. */
int cpu_team(int planned, int64_t work);

#endif
