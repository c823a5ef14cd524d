/* A thread makes up to OUT outputs of a position: for the few outputs of a network's last layers
 * tensor cores have no use, and their sums stay in f32. */
#include "kernels/cuda/convolution_source.cuh"

/* sum += Σ x·weights over the channels of a position. weights: (channel, `columns`). */
template <typename From, int V, int OUT>
static __device__ __forceinline__ void add_channels(const From *x, const float *weights,
                                                    int64_t channels, int64_t columns,
                                                    float (&sum)[OUT])
{
    for (int64_t c = 0; c < channels; c += V) {
        pack_of<From, V> values = *reinterpret_cast<const pack_of<From, V> *>(x + c);
#pragma unroll
        for (int i = 0; i < V; i++) {
            pack_of<float, OUT> w =
                *reinterpret_cast<const pack_of<float, OUT> *>(weights + (c + i) * columns);
#pragma unroll
            for (int j = 0; j < OUT; j++)
                sum[j] = fmaf(to_f32(values.value[i]), w.value[j], sum[j]);
        }
    }
}

/* Outputs first … first + OUT − 1 of position (n, d, h, w) before bias. */
template <typename From, int V, int OUT>
static __device__ void correlate(const struct convolution_direct &k, const From *input,
                                 const float *weights, int64_t columns, const int64_t (&at)[4],
                                 float (&sum)[OUT])
{
    const struct convolution &a = k.attributes;
    struct shape in = k.in.shape;
    int64_t taps = (int64_t)a.kernel[AXIS_H] * a.kernel[AXIS_W];
    for (int kd = 0; kd < a.kernel[AXIS_D]; kd++) {
        int64_t d = convolution_source(a, AXIS_D, at[1], kd, in.d);
        for (int kh = 0; d >= 0 && kh < a.kernel[AXIS_H]; kh++) {
            int64_t h = convolution_source(a, AXIS_H, at[2], kh, in.h);
            for (int kw = 0; h >= 0 && kw < a.kernel[AXIS_W]; kw++) {
                int64_t w = convolution_source(a, AXIS_W, at[3], kw, in.w);
                if (w < 0)
                    continue;
                int64_t tap = kd * taps + kh * a.kernel[AXIS_W] + kw;
                int64_t position = ((at[0] * in.d + d) * in.h + h) * in.w + w;
                add_channels<From, V, OUT>(input + position * in.c, weights + tap * in.c * columns,
                                           in.c, columns, sum);
            }
        }
    }
}

/* What a run reads and writes. */
template <typename From, typename To> struct job {
    const From *input;
    const float *weights, *bias, *alpha;
    const To *residual;
    To *output;
    int64_t columns; /* outputs, rounded up to OUT */
};

template <typename From, typename To, int V, int OUT>
static __global__ void __launch_bounds__(THREADS)
    direct(struct convolution_direct k, job<From, To> j, int64_t count)
{
    struct shape out = k.out.shape;
    int64_t first = (int64_t)blockIdx.y * OUT;
    float beta = j.alpha ? 1.0f - *j.alpha : 1.0f;
    EACH(i, count)
    {
        const int64_t at[4] = {i / out.w / out.h / out.d, i / out.w / out.h % out.d,
                               i / out.w % out.h, i % out.w};
        float sum[OUT] = {};
        correlate<From, V, OUT>(k, j.input, j.weights + first, j.columns, at, sum);
#pragma unroll
        for (int c = 0; c < OUT; c++) {
            if (first + c >= out.c)
                continue;
            int64_t to = i * out.c + first + c;
            float value = sum[c] + j.bias[first + c];
            if (j.residual)
                value = fmaf(beta, to_f32(j.residual[to]), value);
            j.output[to] = from_f32<To>(value);
        }
    }
}

template <typename From, typename To, int OUT>
static void launch(const struct convolution_direct *k, const job<From, To> &j)
{
    constexpr int vector = 16 / sizeof(From);
    struct shape out = k->out.shape;
    int64_t count = out.n * out.d * out.h * out.w;
    dim3 grid(blocks_for(count), (unsigned)(j.columns / OUT));
    cudaStream_t stream = cuda_device()->stream;
    if (k->in.shape.c % vector == 0)
        direct<From, To, vector, OUT><<<grid, THREADS, 0, stream>>>(*k, j, count);
    else
        direct<From, To, 1, OUT><<<grid, THREADS, 0, stream>>>(*k, j, count);
}

int64_t convolution_direct_columns(int64_t out)
{
    int64_t at_once = out <= 1 ? 1 : out <= 4 ? 4 : 8;
    return (out + at_once - 1) / at_once * at_once;
}

template <typename From, typename To>
static void launch_for(const struct convolution_direct *k, job<From, To> j)
{
    j.columns = convolution_direct_columns(k->out.shape.c);
    if (j.columns == 1)
        launch<From, To, 1>(k, j);
    else if (j.columns == 4)
        launch<From, To, 4>(k, j);
    else
        launch<From, To, 8>(k, j);
}

template <typename From, typename To>
static void launch_typed(const struct convolution_direct *k, const void *input,
                         const float *weights, const float *bias, const float *alpha,
                         const void *residual, void *output)
{
    launch_for<From, To>(k, {static_cast<const From *>(input), weights, bias, alpha,
                             static_cast<const To *>(residual), static_cast<To *>(output), 0});
}

const char *convolution_direct(const struct convolution_direct *k, const void *input,
                               const float *weights, const float *bias, const float *alpha,
                               const void *residual, void *output)
{
    bool from_f32 = k->in.dtype == DTYPE_F32, to_f32 = k->out.dtype == DTYPE_F32;
    (from_f32 ? launch_typed<float, float>
     : to_f32 ? launch_typed<bf16, float>
              : launch_typed<bf16, bf16>)(k, input, weights, bias, alpha, residual, output);
    return cuda_launched();
}
