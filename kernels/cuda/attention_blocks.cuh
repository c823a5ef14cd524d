/* Products of f32 that attention and its gradient are made of. A block works on ROWS tokens and
 * ROWS others, or ROWS columns of a head; each of its threads on a square of SIDE×SIDE. */
#ifndef OCTPIPE_KERNELS_CUDA_ATTENTION_BLOCKS_CUH
#define OCTPIPE_KERNELS_CUDA_ATTENTION_BLOCKS_CUH

#include "kernels/cuda/device.cuh"

#include <math_constants.h>

enum {
    ROWS = 64, /* queries, keys and columns of a block */
    SIDE = 4,
    SQUARES = ROWS / SIDE, /* along each side */
    DEPTH = 16,            /* of the heads' width at a time */
    PITCH = ROWS + 4,
    QUARTER = 4, /* threads that share a row of the softmax */
    PARTS = 3,   /* q, k and v */
};

/* Shared memory: slices of two blocks of tokens by depth; their weights; values of the others. */
struct desk {
    float left[DEPTH][PITCH], right[DEPTH][PITCH], weights[ROWS][PITCH], values[ROWS][PITCH];
};

/* Rows of a head: token t's, `width` wide, begins at data + t·step. */
template <typename T> struct rows {
    T *data;
    int64_t step;
    int tokens, width;
};

/* Column `column` of a token; zero outside. */
template <typename T>
static __device__ __forceinline__ float at(rows<const T> from, int token, int column)
{
    bool inside = token < from.tokens && column < from.width;
    return inside ? to_f32(from.data[token * from.step + column]) : 0.0f;
}

/* to[i][row] = column first + i of a token. */
template <typename T>
static __device__ void load_slice(rows<const T> from, int token, int first, float (*to)[PITCH])
{
    for (int i = threadIdx.x; i < ROWS * DEPTH; i += THREADS)
        to[i % DEPTH][i / DEPTH] = at(from, token + i / DEPTH, first + i % DEPTH);
}

/* to[row][i] = column first + i of a token. */
template <typename T>
static __device__ void load_block(rows<const T> from, int token, int first, float (*to)[PITCH])
{
    for (int i = threadIdx.x; i < ROWS * ROWS; i += THREADS)
        to[i / ROWS][i % ROWS] = at(from, token + i / ROWS, first + i % ROWS);
}

/* sum = this thread's square of left·rightᵀ, of a block of tokens of each. */
template <typename T>
static __device__ void multiply_rows(rows<const T> left, int left_token, rows<const T> right,
                                     int right_token, struct desk &desk, float (&sum)[SIDE][SIDE])
{
    int top = threadIdx.x / SQUARES * SIDE, first = threadIdx.x % SQUARES * SIDE;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            sum[i][j] = 0.0f;
    for (int depth = 0; depth < left.width; depth += DEPTH) {
        __syncthreads();
        load_slice(left, left_token, depth, desk.left);
        load_slice(right, right_token, depth, desk.right);
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEPTH; d++)
#pragma unroll
            for (int i = 0; i < SIDE; i++)
#pragma unroll
                for (int j = 0; j < SIDE; j++)
                    sum[i][j] = fmaf(desk.left[d][top + i], desk.right[d][first + j], sum[i][j]);
    }
}

/* out += this thread's square of desk.weights·desk.values. */
static __device__ void multiply_weights(const struct desk &desk, float (&out)[SIDE][SIDE])
{
    int top = threadIdx.x / SQUARES * SIDE, first = threadIdx.x % SQUARES * SIDE;
    for (int k = 0; k < ROWS; k++)
#pragma unroll
        for (int i = 0; i < SIDE; i++)
#pragma unroll
            for (int j = 0; j < SIDE; j++)
                out[i][j] = fmaf(desk.weights[top + i][k], desk.values[k][first + j], out[i][j]);
}

/* desk.weights = scale·left·rightᵀ; −∞ for tokens of `right` beyond the last. */
template <typename T>
static __device__ void score(rows<const T> left, int left_token, rows<const T> right,
                             int right_token, float scale, struct desk &desk)
{
    int top = threadIdx.x / SQUARES * SIDE, first = threadIdx.x % SQUARES * SIDE;
    float sum[SIDE][SIDE];
    multiply_rows(left, left_token, right, right_token, desk, sum);
#pragma unroll
    for (int i = 0; i < SIDE; i++)
#pragma unroll
        for (int j = 0; j < SIDE; j++)
            desk.weights[top + i][first + j] =
                right_token + first + j < right.tokens ? sum[i][j] * scale : -CUDART_INF_F;
}

static __device__ float quarter_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(all_lanes, x, 1));
    return fmaxf(x, __shfl_xor_sync(all_lanes, x, 2));
}

static __device__ float quarter_sum(float x)
{
    x += __shfl_xor_sync(all_lanes, x, 1);
    return x + __shfl_xor_sync(all_lanes, x, 2);
}

#endif
