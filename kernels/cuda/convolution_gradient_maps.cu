/* Around cuDNN's products of gradients: the way back from the gathered map, the gradients of
 * kernels from its order, the sums of dy. */
#include "kernels/cuda/convolution_source.cuh"
#include "kernels/cuda/sum.cuh"

extern "C" {
#include "kernels/cuda/convolution_gradient.h"
}

/* dx may be where `added` is. */
static __global__ void spread(struct convolution_gather g, bool replicated, struct values map,
                              struct values added, struct values dx, int64_t count)
{
    EACH(i, count)
    {
        int64_t c = i % g.in.c;
        struct position at = position_of(g.in, i / g.in.c);
        struct stand z =
            stand_of(at.d, g.in.d, g.front[AXIS_D], g.upsampled[AXIS_D], replicated, g.to.d);
        struct stand y =
            stand_of(at.h, g.in.h, g.front[AXIS_H], g.upsampled[AXIS_H], replicated, g.to.h);
        struct stand x =
            stand_of(at.w, g.in.w, g.front[AXIS_W], g.upsampled[AXIS_W], replicated, g.to.w);
        float sum = 0.0f;
        for (int64_t a = z.first; a <= z.last; a++)
            for (int64_t b = y.first; b <= y.last; b++)
                for (int64_t e = x.first; e <= x.last; e++)
                    sum += get(map, (((at.n * g.to.d + a) * g.to.h + b) * g.to.w + e) * g.to.c + c);
        put(dx, i, added.data ? sum + get(added, i) : sum);
    }
}

const char *convolution_spread(const struct convolution_gather *g, bool replicated, const void *map,
                               const void *added, void *dx)
{
    int64_t count = shape_count(g->in);
    spread<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        *g, replicated, values_of(map, g->dtype), values_of(added, g->dtype),
        values_of(dx, g->dtype), count);
    return cuda_launched();
}

/* The gradient of one kernel: where its elements lie, and where their sums. */
struct destination {
    float *gradient;
    int64_t out, taps, in, out_step, in_step; /* steps of the gradient */
    int64_t columns, parts, part_step;        /* of the sums (part, out, tap, columns) */
};

static __global__ void add_weights(struct destination to, struct values sums, int64_t first,
                                   const float *alpha)
{
    float factor = alpha ? *alpha : 1.0f;
    EACH(i, to.out * to.taps * to.in)
    {
        int64_t in = i % to.in, tap = i / to.in % to.taps, out = i / to.in / to.taps;
        int64_t from = first + (out * to.taps + tap) * to.columns + in;
        float sum = 0.0f;
        for (int64_t part = 0; part < to.parts; part++)
            sum += get(sums, from + part * to.part_step);
        to.gradient[out * to.out_step + in * to.in_step + tap] += factor * sum;
    }
}

const char *convolution_add_weights(const struct operation *o, struct tensor sums, const void *data,
                                    const float *alpha)
{
    const struct convolution *c = &o->convolution;
    int64_t taps = convolution_taps(c), first = 0;
    for (int part = 0; part < c->parts; part++) {
        const struct weight *w = &o->weight[2 * part];
        int64_t row = w->shape[1] * taps, out = w->shape[c->transposed ? 1 : 0];
        struct destination to = {o->gradient[2 * part],
                                 out,
                                 taps,
                                 o->input[0].shape.c,
                                 c->transposed ? taps : row,
                                 c->transposed ? row : taps,
                                 sums.shape.c,
                                 sums.shape.n,
                                 shape_count(sums.shape) / sums.shape.n};
        if (to.gradient) {
            to.gradient += c->first_channel * to.in_step;
            add_weights<<<blocks_for(out * taps * to.in), THREADS, 0, cuda_device()->stream>>>(
                to, values_of(data, sums.dtype), first, alpha);
        }
        first += out * taps * sums.shape.c;
    }
    return cuda_launched();
}

static constexpr int64_t bias_positions = 256; /* that a thread sums */

int64_t convolution_bias_sums(struct shape dy)
{
    int64_t positions = dy.n * dy.d * dy.h * dy.w;
    return (positions + bias_positions - 1) / bias_positions * dy.c;
}

static __global__ void sum_positions(struct values dy, int64_t positions, int64_t c, double *sums,
                                     int64_t count)
{
    EACH(i, count)
    {
        int64_t start = i / c * bias_positions, end = min(start + bias_positions, positions);
        double sum = 0.0;
        for (int64_t p = start; p < end; p++)
            sum += (double)get(dy, p * c + i % c);
        sums[i] = sum;
    }
}

/* A warp an output of a part, whose first is `first` of c. */
static __global__ void __launch_bounds__(THREADS)
    add_bias(const double *sums, int64_t chunks, int64_t c, int64_t first, int64_t count,
             const float *alpha, float *gradient)
{
    int64_t out = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    if (out >= count)
        return;
    double sum = 0.0;
    for (int64_t chunk = threadIdx.x % WARP; chunk < chunks; chunk += WARP)
        sum += sums[chunk * c + first + out];
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0)
        gradient[out] += (alpha ? *alpha : 1.0f) * (float)sum;
}

const char *convolution_add_bias(const struct operation *o, const void *dy, const float *alpha,
                                 double *sums)
{
    struct shape y = o->output.shape;
    int64_t count = convolution_bias_sums(y), first = 0;
    cudaStream_t stream = cuda_device()->stream;
    sum_positions<<<blocks_for(count), THREADS, 0, stream>>>(
        values_of(dy, o->output.dtype), y.n * y.d * y.h * y.w, y.c, sums, count);
    for (int part = 0; part < o->convolution.parts; part++) {
        int64_t out = o->weight[2 * part].shape[o->convolution.transposed ? 1 : 0];
        int64_t blocks = (out * WARP + THREADS - 1) / THREADS;
        if (o->gradient[2 * part + 1])
            add_bias<<<(unsigned)blocks, THREADS, 0, stream>>>(sums, count / y.c, y.c, first, out,
                                                               alpha, o->gradient[2 * part + 1]);
        first += out;
    }
    return cuda_launched();
}
