/* Attention in f32. A block makes ROWS queries × COLUMNS outputs, each thread a square of SIDE×SIDE
 * scores of a block of keys, then of outputs. */
#include "kernels/cuda/attention_blocks.cuh"

extern "C" {
#include "kernels/cuda/attention.h"
}

/* Scores to weights exp(score − maximum); QUARTER threads share a row and its maximum and sum. */
static __device__ void weigh(struct desk &desk, float *factors, float &maximum, float &sum)
{
    float *row = desk.weights[threadIdx.x / QUARTER];
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
        factors[threadIdx.x / QUARTER] = factor;
}

template <typename To>
static __global__ void __launch_bounds__(THREADS) attend(attention_job job, int chunks)
{
    __shared__ struct desk desk;
    __shared__ float factors[ROWS];
    int query = blockIdx.x / chunks * ROWS, column = blockIdx.x % chunks * ROWS;
    int top = threadIdx.x / SQUARES * SIDE, left = threadIdx.x % SQUARES * SIDE;
    int64_t set = blockIdx.z, wide = (int64_t)job.heads * job.width;
    const float *head = static_cast<const float *>(job.input) + set * job.tokens * PARTS * wide +
                        (int64_t)blockIdx.y * PARTS * job.width;
    rows<const float> queries = {head, PARTS * wide, job.tokens, job.width}, keys = queries;
    rows<const float> values = queries;
    keys.data += job.width;
    values.data += 2 * job.width;
    float out[SIDE][SIDE] = {}, maximum = -CUDART_INF_F, sum = 0.0f;
    for (int key = 0; key < job.tokens; key += ROWS) {
        score(queries, query, keys, key, job.scale, desk);
        __syncthreads();
        weigh(desk, factors, maximum, sum);
        load_block(values, key, column, desk.values);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < SIDE; i++)
#pragma unroll
            for (int j = 0; j < SIDE; j++)
                out[i][j] *= factors[top + i];
        multiply_weights(desk, out);
    }
    __syncthreads();
    if (threadIdx.x % QUARTER == 0)
        factors[threadIdx.x / QUARTER] = 1.0f / sum;
    __syncthreads();
    To *to =
        static_cast<To *>(job.output) + set * job.tokens * wide + (int64_t)blockIdx.y * job.width;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            if (query + top + i < job.tokens && column + left + j < job.width)
                to[(query + top + i) * wide + column + left + j] =
                    from_f32<To>(out[i][j] * factors[top + i]);
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
