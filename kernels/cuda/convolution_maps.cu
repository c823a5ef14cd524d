/* What a convolution needs around its product: the map that is multiplied, the mix. */
#include "kernels/cuda/convolution_source.cuh"

/* An input position along an axis, or the nearest one. */
static __device__ __forceinline__ int64_t source(int64_t position, int front, bool upsampled,
                                                 int64_t extent)
{
    int64_t at = (position - front) >> upsampled;
    return at < 0 ? 0 : at >= extent ? extent - 1 : at;
}

/* V channels at once; both maps have whole vectors, or V is 1. */
template <typename T, int V>
static __global__ void gather(struct convolution_gather g, const T *input, T *output, int64_t count)
{
    int64_t vectors = g.to.c / V;
    EACH(i, count)
    {
        int64_t c = i % vectors * V;
        struct position to = position_of(g.to, i / vectors);
        int64_t d = source(to.d, g.front[AXIS_D], g.upsampled[AXIS_D], g.in.d);
        int64_t h = source(to.h, g.front[AXIS_H], g.upsampled[AXIS_H], g.in.h);
        int64_t w = source(to.w, g.front[AXIS_W], g.upsampled[AXIS_W], g.in.w);
        int64_t at = (((to.n * g.in.d + d) * g.in.h + h) * g.in.w + w) * g.in.c + c;
        pack_of<T, V> value;
#pragma unroll
        for (int j = 0; j < V; j++)
            value.value[j] = from_f32<T>(0.0f);
        if (c < g.in.c)
            value = *reinterpret_cast<const pack_of<T, V> *>(input + at);
        *reinterpret_cast<pack_of<T, V> *>(output + i * V) = value;
    }
}

template <typename T, int V>
static void launch_gather(const struct convolution_gather *g, const void *input, void *output)
{
    int64_t count = shape_count(g->to) / V;
    gather<T, V><<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        *g, static_cast<const T *>(input), static_cast<T *>(output), count);
}

const char *convolution_gather(const struct convolution_gather *g, const void *input, void *output)
{
    bool narrow = g->dtype == DTYPE_BF16;
    int vector = narrow ? 8 : 4; /* 16 bytes */
    bool whole = g->in.c % vector == 0 && g->to.c % vector == 0;
    if (narrow)
        (whole ? launch_gather<bf16, 8> : launch_gather<bf16, 1>)(g, input, output);
    else
        (whole ? launch_gather<float, 4> : launch_gather<float, 1>)(g, input, output);
    return cuda_launched();
}

template <typename T>
static __global__ void finish(const float *alpha, const T *residual, T *output, int64_t count)
{
    float beta = 1.0f - *alpha;
    EACH(i, count)
    output[i] = from_f32<T>(fmaf(beta, to_f32(residual[i]), to_f32(output[i])));
}

const char *convolution_finish(const float *alpha, const void *residual, void *output,
                               int64_t count, enum dtype dtype)
{
    if (dtype == DTYPE_BF16)
        finish<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
            alpha, static_cast<const bf16 *>(residual), static_cast<bf16 *>(output), count);
    else
        finish<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
            alpha, static_cast<const float *>(residual), static_cast<float *>(output), count);
    return cuda_launched();
}

static __global__ void sigmoid(const float *mix, float *alpha)
{
    *alpha = 1.0f / (1.0f + expf(-*mix));
}

const char *convolution_alpha(const float *mix, float *alpha)
{
    sigmoid<<<1, 1, 0, cuda_device()->stream>>>(mix, alpha);
    return cuda_launched();
}
