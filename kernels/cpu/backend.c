#include "kernels/cpu/cpu.h"

#include <stdint.h>
#include <sys/mman.h>

/* Pages that nobody has touched cost nothing, so the plan's total is the process's peak. Huge
 * pages spare the processor most of its address translations. */
static void *allocate(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static void release(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}

const struct backend *backend_cpu(void)
{
    static const struct backend backend = {
        .name = "cpu",
        .device = "the processor",
        .activations = DTYPE_F32,
        .multiplies_bf16 = cpu_has_bf16,
        .kernel = {[OP_TO_CHANNELS_LAST] = &cpu_to_channels_last,
                   [OP_TO_SLICE_MAJOR] = &cpu_to_slice_major,
                   [OP_CAST] = &cpu_cast,
                   [OP_CONVOLUTION] = &cpu_convolution,
                   [OP_CONVOLUTION_PAIR] = &cpu_convolution_pair,
                   [OP_GROUP_NORM] = &cpu_group_norm,
                   [OP_RESAMPLE] = &cpu_resample,
                   [OP_ATTENTION] = &cpu_attention,
                   [OP_LINEAR] = &cpu_linear,
                   [OP_TIMESTEP_EMBEDDING] = &cpu_timestep_embedding,
                   [OP_QUANTIZE] = &cpu_quantize,
                   [OP_POOL] = &cpu_pool,
                   [OP_CONCATENATE] = &cpu_concatenate,
                   [OP_CONVOLUTION_DATA] = &cpu_convolution_data,
                   [OP_CONVOLUTION_WEIGHTS] = &cpu_convolution_weights,
                   [OP_MIX_GRADIENT] = &cpu_mix_gradient,
                   [OP_GROUP_NORM_SUMS] = &cpu_group_norm_sums,
                   [OP_GROUP_NORM_DATA] = &cpu_group_norm_data,
                   [OP_GROUP_NORM_WEIGHTS] = &cpu_group_norm_weights,
                   [OP_ATTENTION_DATA] = &cpu_attention_data,
                   [OP_LINEAR_DATA] = &cpu_linear_data,
                   [OP_LINEAR_WEIGHTS] = &cpu_linear_weights,
                   [OP_CODEBOOK_WEIGHTS] = &cpu_codebook_weights,
                   [OP_ADD] = &cpu_add,
                   [OP_FILL] = &cpu_fill,
                   [OP_LOSS] = &cpu_loss,
                   [OP_LOSS_DATA] = &cpu_loss_data,
                   [OP_GATHER] = &cpu_gather,
                   [OP_SCATTER] = &cpu_scatter,
                   [OP_LEAKY_RELU] = &cpu_leaky_relu,
                   [OP_MAX_POOL] = &cpu_max_pool,
                   [OP_MAX_POOL_DATA] = &cpu_max_pool_data,
                   [OP_FEATURE_DISTANCE] = &cpu_feature_distance,
                   [OP_FEATURE_DISTANCE_DATA] = &cpu_feature_distance_data,
                   [OP_RUNNING_MOMENTS] = &cpu_running_moments,
                   [OP_ADAPTIVE_WEIGHT] = &cpu_adaptive_weight,
                   [OP_LEAKY_RELU_DATA] = &cpu_leaky_relu},
        .allocate = allocate,
        .release = release,
        .optimizer = &cpu_optimizer,
    };
    return &backend;
}
