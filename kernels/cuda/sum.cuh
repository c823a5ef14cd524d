/* Sums over many values: of a thread, a block, then of all blocks, in an order that follows from
 * the number of values alone. */
#ifndef OCTPIPE_KERNELS_CUDA_SUM_CUH
#define OCTPIPE_KERNELS_CUDA_SUM_CUH

#include "kernels/cuda/device.cuh"

static constexpr unsigned most_sums = 1024; /* blocks */

/* Over the lanes of a warp, for each of them. */
static __device__ __forceinline__ double warp_sum(double x)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        x += __shfl_xor_sync(all_lanes, x, step);
    return x;
}

/* Over the THREADS of a block, for each of them. */
static __device__ __forceinline__ double block_sum(double x)
{
    __shared__ double sums[THREADS / WARP];
    x = warp_sum(x);
    if (threadIdx.x % WARP == 0)
        sums[threadIdx.x / WARP] = x;
    __syncthreads();
    x = 0.0;
    for (int i = 0; i < THREADS / WARP; i++)
        x += sums[i];
    __syncthreads();
    return x;
}

/* Over an array, by one block. */
static __device__ __forceinline__ double array_sum(const double *x, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += THREADS)
        sum += x[i];
    return block_sum(sum);
}

/* Blocks that sum `count` values, each to one number. */
static inline unsigned sum_blocks(int64_t count)
{
    unsigned blocks = blocks_for(count);
    return blocks < most_sums ? blocks : most_sums;
}

#endif
