/* Attention in f32. A block makes ROWS queries × COLUMNS outputs, each thread a square of SIDE×SIDE
 * scores of a block of keys, then of outputs. */
#include "kernels/cuda/device.cuh"

extern "C" {
#include "kernels/cuda/attention.h"
}

#include <math_constants.h>

enum {
    ROWS = 64, /* queries, keys and columns of a block */
    SIDE = 4,
    SQUARES = ROWS / SIDE, /* along each side */
    DEPTH = 16,            /* of the heads' width at a time */
    PITCH = ROWS + 4,
    QUARTER = 4, /* threads that share a row of the softmax */
};

/* Shared memory: slices of q and k by depth; the scores, then the weights; the values. */
struct desk {
    float q[DEPTH][PITCH], k[DEPTH][PITCH], scores[ROWS][PITCH], values[ROWS][PITCH], factor[ROWS];
};

/* to[i][row] = columns first … of q, k or v of tokens token …; zero outside. */
static __device__ void load_slice(const attention_job &job, const float *head, int token, int part,
                                  int first, float (*to)[PITCH])
{
    for (int i = threadIdx.x; i < ROWS * DEPTH; i += THREADS) {
        int row = i / DEPTH, column = first + i % DEPTH;
        bool inside = token + row < job.tokens && column < job.width;
        int64_t at = (int64_t)(token + row) * 3 * job.heads * job.width + part * job.width + column;
        to[i % DEPTH][row] = inside ? head[at] : 0.0f;
    }
}

static __device__ void load_values(const attention_job &job, const float *head, int token,
                                   int first, float (*to)[PITCH])
{
    for (int i = threadIdx.x; i < ROWS * ROWS; i += THREADS) {
        int row = i / ROWS, column = first + i % ROWS;
        bool inside = token + row < job.tokens && column < job.width;
        int64_t at = (int64_t)(token + row) * 3 * job.heads * job.width + 2 * job.width + column;
        to[row][i % ROWS] = inside ? head[at] : 0.0f;
    }
}

/* desk.scores = scale·q·kᵀ of a block of queries and one of keys; −∞ for keys beyond the last. */
static __device__ void score(const attention_job &job, const float *head, int query, int key,
                             struct desk &desk)
{
    int top = threadIdx.x / SQUARES * SIDE, left = threadIdx.x % SQUARES * SIDE;
    float sum[SIDE][SIDE] = {};
    for (int first = 0; first < job.width; first += DEPTH) {
        __syncthreads();
        load_slice(job, head, query, 0, first, desk.q);
        load_slice(job, head, key, 1, first, desk.k);
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEPTH; d++)
#pragma unroll
            for (int i = 0; i < SIDE; i++)
#pragma unroll
                for (int j = 0; j < SIDE; j++)
                    sum[i][j] = fmaf(desk.q[d][top + i], desk.k[d][left + j], sum[i][j]);
    }
#pragma unroll
    for (int i = 0; i < SIDE; i++)
#pragma unroll
        for (int j = 0; j < SIDE; j++)
            desk.scores[top + i][left + j] =
                key + left + j < job.tokens ? sum[i][j] * job.scale : -CUDART_INF_F;
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

/* Scores to weights exp(score − maximum); QUARTER threads share a row and its maximum and sum. */
static __device__ void weigh(struct desk &desk, float &maximum, float &sum)
{
    float *row = desk.scores[threadIdx.x / QUARTER];
    int part = threadIdx.x % QUARTER;
    float highest = maximum, added = 0.0f;
    for (int i = part; i < ROWS; i += QUARTER)
        highest = fmaxf(highest, row[i]);
    highest = quarter_max(highest);
    for (int i = part; i < ROWS; i += QUARTER) {
        row[i] = expf(row[i] - highest);
        added += row[i];
    }
    float factor = expf(maximum - highest);
    sum = sum * factor + quarter_sum(added);
    maximum = highest;
    if (part == 0)
        desk.factor[threadIdx.x / QUARTER] = factor;
}

template <typename To>
static __global__ void __launch_bounds__(THREADS) attend(attention_job job, int chunks)
{
    __shared__ struct desk desk;
    int query = blockIdx.x / chunks * ROWS, column = blockIdx.x % chunks * ROWS;
    int top = threadIdx.x / SQUARES * SIDE, left = threadIdx.x % SQUARES * SIDE;
    int64_t set = blockIdx.z, wide = (int64_t)job.heads * job.width;
    const float *head = static_cast<const float *>(job.input) + set * job.tokens * 3 * wide +
                        (int64_t)blockIdx.y * 3 * job.width;
    float out[SIDE][SIDE] = {}, maximum = -CUDART_INF_F, sum = 0.0f;
    for (int key = 0; key < job.tokens; key += ROWS) {
        score(job, head, query, key, desk);
        __syncthreads();
        weigh(desk, maximum, sum);
        load_values(job, head, key, column, desk.values);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < SIDE; i++)
#pragma unroll
            for (int j = 0; j < SIDE; j++)
                out[i][j] *= desk.factor[top + i];
        for (int k = 0; k < ROWS; k++)
#pragma unroll
            for (int i = 0; i < SIDE; i++)
#pragma unroll
                for (int j = 0; j < SIDE; j++)
                    out[i][j] = fmaf(desk.scores[top + i][k], desk.values[k][left + j], out[i][j]);
    }
    __syncthreads();
    if (threadIdx.x % QUARTER == 0)
        desk.factor[threadIdx.x / QUARTER] = 1.0f / sum;
    __syncthreads();
    To *to =
        static_cast<To *>(job.output) + set * job.tokens * wide + (int64_t)blockIdx.y * job.width;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            if (query + top + i < job.tokens && column + left + j < job.width)
                to[(query + top + i) * wide + column + left + j] =
                    from_f32<To>(out[i][j] * desk.factor[top + i]);
}

const char *attention_f32_run(const attention_job *job)
{
    int chunks = (job->width + ROWS - 1) / ROWS;
    dim3 grid((unsigned)((job->tokens + ROWS - 1) / ROWS * chunks), (unsigned)job->heads,
              (unsigned)job->sets);
    if (job->output_f32)
        attend<float><<<grid, THREADS, 0, cuda_device()->stream>>>(*job, chunks);
    else
        attend<bf16><<<grid, THREADS, 0, cuda_device()->stream>>>(*job, chunks);
    return cuda_launched();
}
