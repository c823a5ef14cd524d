/* Gradients of convolutions by plain sums in f32: an element of dx, or of the sums of a kernel, a
 * thread. */
#include "kernels/cuda/convolution_source.cuh"

extern "C" {
#include "kernels/cuda/convolution_gradient.h"
}

struct job {
    struct convolution attributes;
    struct shape x, y;
};

/* Σ over taps along h and w, and outputs, of what element c of position (d, h, w) is seen by from
 * slice `slice` of y under index kd. */
static __device__ float sum_slice(const struct job &j, const struct values &dy,
                                  const float *kernels, int64_t slice, int kd,
                                  const struct stand &rows, const struct stand &columns, int64_t c)
{
    const struct convolution &a = j.attributes;
    int64_t taps = (int64_t)a.kernel[AXIS_D] * a.kernel[AXIS_H] * a.kernel[AXIS_W];
    float sum = 0.0f;
    for (int64_t q = rows.first; q <= rows.last; q++)
        for (int kh = 0; kh < a.kernel[AXIS_H]; kh++) {
            int64_t h = convolution_viewer(a, AXIS_H, q, kh, j.y.h);
            for (int64_t r = columns.first; h >= 0 && r <= columns.last; r++)
                for (int kw = 0; kw < a.kernel[AXIS_W]; kw++) {
                    int64_t w = convolution_viewer(a, AXIS_W, r, kw, j.y.w);
                    if (w < 0)
                        continue;
                    int64_t tap = ((int64_t)kd * a.kernel[AXIS_H] + kh) * a.kernel[AXIS_W] + kw;
                    int64_t at = ((slice * j.y.h + h) * j.y.w + w) * j.y.c;
                    for (int64_t out = 0; out < j.y.c; out++)
                        sum = fmaf(get(dy, at + out), kernels[(out * taps + tap) * j.x.c + c], sum);
                }
        }
    return sum;
}

static __device__ __forceinline__ struct stand stand_along(const struct convolution &a, int axis,
                                                           int64_t position, int64_t extent)
{
    int64_t padded = (extent << a.upsampled[axis]) + a.pad_front[axis] + a.pad_back[axis];
    return stand_of(position, extent, a.pad_front[axis], a.upsampled[axis],
                    a.padding == PADDING_REPLICATE, padded);
}

static __global__ void data(struct job j, struct values dy, const float *kernels,
                            struct values added, struct values dx, int64_t count)
{
    const struct convolution &a = j.attributes;
    EACH(i, count)
    {
        int64_t c = i % j.x.c;
        struct position at = position_of(j.x, i / j.x.c);
        struct stand slices = stand_along(a, AXIS_D, at.d, j.x.d);
        struct stand rows = stand_along(a, AXIS_H, at.h, j.x.h);
        struct stand columns = stand_along(a, AXIS_W, at.w, j.x.w);
        float sum = 0.0f;
        for (int64_t q = slices.first; q <= slices.last; q++)
            for (int kd = 0; kd < a.kernel[AXIS_D]; kd++) {
                int64_t slice = convolution_viewer(a, AXIS_D, q, kd, j.y.d);
                if (slice >= 0)
                    sum += sum_slice(j, dy, kernels, at.n * j.y.d + slice, kd, rows, columns, c);
            }
        put(dx, i, added.data ? sum + get(added, i) : sum);
    }
}

const char *convolution_direct_data(const struct operation *o, const float *kernels, const void *dy,
                                    const void *added, void *dx)
{
    struct job j = {o->convolution, o->input[0].shape, o->output.shape};
    enum dtype dtype = o->input[0].dtype;
    int64_t count = shape_count(j.x);
    data<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        j, values_of(dy, o->output.dtype), kernels, values_of(added, dtype), values_of(dx, dtype),
        count);
    return cuda_launched();
}

/* Share blockIdx.y of the positions. */
static __global__ void weights(struct job j, struct values x, struct values dy, int64_t share,
                               float *sums, int64_t count)
{
    const struct convolution &a = j.attributes;
    int64_t taps = (int64_t)a.kernel[AXIS_D] * a.kernel[AXIS_H] * a.kernel[AXIS_W];
    int64_t positions = j.y.n * j.y.d * j.y.h * j.y.w, start = blockIdx.y * share;
    int64_t end = min(start + share, positions);
    EACH(i, count)
    {
        int64_t c = i % j.x.c, tap = i / j.x.c % taps, out = i / j.x.c / taps;
        int kw = (int)(tap % a.kernel[AXIS_W]), kh = (int)(tap / a.kernel[AXIS_W]);
        int kd = kh / a.kernel[AXIS_H];
        kh %= a.kernel[AXIS_H];
        float sum = 0.0f;
        for (int64_t p = start; p < end; p++) {
            struct position at = position_of(j.y, p);
            int64_t d = convolution_source(a, AXIS_D, at.d, kd, j.x.d);
            int64_t h = convolution_source(a, AXIS_H, at.h, kh, j.x.h);
            int64_t w = convolution_source(a, AXIS_W, at.w, kw, j.x.w);
            if (d < 0 || h < 0 || w < 0)
                continue;
            int64_t from = (((at.n * j.x.d + d) * j.x.h + h) * j.x.w + w) * j.x.c + c;
            sum = fmaf(get(x, from), get(dy, p * j.y.c + out), sum);
        }
        sums[blockIdx.y * count + i] = sum;
    }
}

const char *convolution_direct_weights(const struct operation *o, const void *x, const void *dy,
                                       int64_t parts, float *sums)
{
    struct job j = {o->convolution, o->input[0].shape, o->output.shape};
    int64_t positions = shape_count(j.y) / j.y.c;
    int64_t count = j.y.c * convolution_taps(&o->convolution) * j.x.c;
    dim3 grid(blocks_for(count), (unsigned)parts);
    weights<<<grid, THREADS, 0, cuda_device()->stream>>>(
        j, values_of(x, o->input[0].dtype), values_of(dy, o->output.dtype),
        (positions + parts - 1) / parts, sums, count);
    return cuda_launched();
}
