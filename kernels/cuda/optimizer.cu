/* kernels/optimizer.h on the device. */
#include "kernels/cuda/sum.cuh"

static __global__ void update(float *value, float *m, float *v, const float *gradient,
                              int64_t count, struct adamw_coefficients c)
{
    EACH(i, count)
    {
        float g = gradient[i] * c.scale;
        float mean = fmaf(c.beta1_rest, g - m[i], m[i]);
        float square = fmaf(c.beta2_rest * g, g, c.beta2 * v[i]);
        m[i] = mean;
        v[i] = square;
        value[i] = fmaf(c.keep, value[i], -c.rate * mean / fmaf(sqrtf(square), c.root, c.epsilon));
    }
}

static void adamw(float *value, float *m, float *v, const float *gradient, int64_t count,
                  const struct adamw_coefficients *c)
{
    update<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(value, m, v, gradient, count,
                                                                     *c);
}

static __global__ void __launch_bounds__(THREADS)
    sum_squares(const float *x, int64_t count, double *sums)
{
    double sum = 0.0;
    EACH(i, count)
    sum += (double)x[i] * (double)x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(THREADS)
    add_sums(const double *sums, int64_t blocks, double *total)
{
    double sum = array_sum(sums, blocks);
    if (threadIdx.x == 0)
        *total += sum;
}

/* One array after another: its blocks' sums, then their sum to the total. */
static double square_sum(const float *const *x, const int64_t *count, int64_t arrays)
{
    static double *memory; /* the total, the sums of blocks; kept for the process */
    cudaStream_t stream = cuda_device()->stream;
    double total = 0.0;
    if (!memory && cudaMalloc(&memory, (1 + most_sums) * sizeof *memory) != cudaSuccess)
        return NAN;
    cudaError_t status = cudaMemsetAsync(memory, 0, sizeof *memory, stream);
    for (int64_t i = 0; i < arrays && status == cudaSuccess; i++) {
        unsigned blocks = sum_blocks(count[i]);
        sum_squares<<<blocks, THREADS, 0, stream>>>(x[i], count[i], memory + 1);
        add_sums<<<1, THREADS, 0, stream>>>(memory + 1, blocks, memory);
        status = cudaGetLastError();
    }
    if (status == cudaSuccess)
        status = cudaMemcpyAsync(&total, memory, sizeof total, cudaMemcpyDeviceToHost, stream);
    if (status == cudaSuccess)
        status = cudaStreamSynchronize(stream);
    return status == cudaSuccess ? total : NAN;
}

static __global__ void move(float *average, const float *value, float share, int64_t count)
{
    EACH(i, count)
    average[i] = fmaf(share, value[i] - average[i], average[i]);
}

static void move_average(float *average, const float *value, float share, int64_t count)
{
    move<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(average, value, share, count);
}

static __global__ void swap_values(float *a, float *b, int64_t count)
{
    EACH(i, count)
    {
        float value = a[i];
        a[i] = b[i];
        b[i] = value;
    }
}

static void exchange(float *a, float *b, int64_t count)
{
    swap_values<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(a, b, count);
}

const struct optimizer cuda_optimizer = {adamw, square_sum, move_average, exchange};
