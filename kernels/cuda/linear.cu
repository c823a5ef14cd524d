/* OP_LINEAR: a warp makes one output of all samples, a few at a time, from a row of the matrix: a
 * row is read once for so many samples, and the order of a sum is that of one sample. A matrix of
 * bf16 stays so, others are kept in f32.
 *
 * There is no use for cuBLAS. Linear layers see one timestep a step: 15 million weights of the
 * global diffusion network and 24 million of the refiner, two operations each, read once. In f32
 * that is 97 MB of the refiner's: 29 µs at 3.35 TB/s beside 8.8 TFLOP of 44 slices, 11 ms at 800
 * TFLOP/s; the bias is added in the same pass. The other matrix products, the projections of
 * attention and 1×1 skips, are cuDNN's convolutions, with bias and residual fused (convolution.c).
 */
#include "kernels/cuda/device.cuh"

#include <algorithm>

enum { SAMPLES = 4 };

struct linear_state {
    int64_t n, in, out;
    bool silu, bf16_matrix, bias;
    size_t bias_offset; /* in the prepared block */
    const char *prepared;
};

template <typename T>
static __global__ void linear_kernel(const float *x, const T *matrix, const float *bias, float *y,
                                     int64_t n, int64_t in, int64_t out, bool apply_silu)
{
    int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    int lane = threadIdx.x % WARP;
    if (row >= out)
        return;
    for (int64_t first = 0; first < n; first += SAMPLES) {
        float sum[SAMPLES] = {};
        for (int64_t i = lane; i < in; i += WARP) {
            float weight = to_f32(matrix[row * in + i]);
#pragma unroll
            for (int s = 0; s < SAMPLES; s++) {
                float value = first + s < n ? x[(first + s) * in + i] : 0.0f;
                sum[s] = fmaf(weight, apply_silu ? silu(value) : value, sum[s]);
            }
        }
#pragma unroll
        for (int s = 0; s < SAMPLES; s++) {
            for (int step = WARP / 2; step > 0; step /= 2)
                sum[s] += __shfl_xor_sync(all_lanes, sum[s], step);
            if (lane == 0 && first + s < n)
                y[(first + s) * out + row] = sum[s] + (bias ? bias[row] : 0.0f);
        }
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_linear(o);
    if (why)
        return why;
    linear_state *s = new_state<linear_state>();
    if (!s)
        return "out of memory";
    struct shape in = o->input[0].shape;
    s->n = in.n * in.d * in.h * in.w;
    s->in = in.c;
    s->out = o->output.shape.c;
    s->silu = o->linear.silu_input;
    s->bias = o->weights > 1 && o->weight[1].rank;
    s->bf16_matrix = o->weight[0].dtype == DTYPE_BF16;
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->prepared, s->in * s->out, s->bf16_matrix ? 2 : 4);
    s->bias_offset = cuda_reserve(&needs->prepared, s->out, sizeof(float));
    int64_t bias = s->bias ? weight_bytes(&o->weight[1]) : 0;
    needs->scratch = (size_t)std::max(weight_bytes(&o->weight[0]), bias);
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    linear_state *s = static_cast<linear_state *>(state);
    char *memory = static_cast<char *>(prepared);
    s->prepared = memory;
    const char *why =
        cuda_pack_vector(&o->weight[0], s->in * s->out, s->bf16_matrix ? DTYPE_BF16 : DTYPE_F32,
                         nullptr, memory, scratch);
    if (!why && s->bias)
        why = cuda_pack_vector(&o->weight[1], s->out, DTYPE_F32, nullptr, memory + s->bias_offset,
                               scratch);
    return why;
}

template <typename T> static void launch(const linear_state *s, const void *x, void *y)
{
    int64_t blocks = (s->out * WARP + THREADS - 1) / THREADS;
    const char *bias = s->bias ? s->prepared + s->bias_offset : nullptr;
    linear_kernel<<<(unsigned)blocks, THREADS, 0, cuda_device()->stream>>>(
        static_cast<const float *>(x), reinterpret_cast<const T *>(s->prepared),
        reinterpret_cast<const float *>(bias), static_cast<float *>(y), s->n, s->in, s->out,
        s->silu);
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const linear_state *s = static_cast<linear_state *>(state);
    (s->bf16_matrix ? launch<bf16> : launch<float>)(s, inputs[0], output);
    return cuda_launched();
}

const struct kernel cuda_linear = {create, prepare, run, free};
