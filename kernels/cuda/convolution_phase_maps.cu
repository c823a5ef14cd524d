/* What the phases of a convolution need around their products: their kernels, and where they go. */
#include "kernels/cuda/convolution_source.cuh"

extern "C" {
#include "kernels/cuda/convolution_phases.h"
}

/* A phase's taps and the whole kernel's, (out, tap, c). */
struct folding {
    struct convolution_phase phase;
    int taps[AXES], whole[AXES];
    int64_t out, c;
};

/* The taps of the whole kernel, first … last, that one of a phase is the sum of. */
struct span {
    int first, last;
};

static __device__ span span_of(const struct convolution_phase &phase, int axis, int tap)
{
    if (!phase.upsampled[axis])
        return {tap, tap};
    return tap ? span{phase.bit[axis] + 1, 2} : span{0, phase.bit[axis]};
}

template <typename T>
static __global__ void fold(struct folding f, const float *kernels, T *folded, int64_t count)
{
    EACH(i, count)
    {
        int64_t c = i % f.c, rest = i / f.c;
        span w = span_of(f.phase, AXIS_W, (int)(rest % f.taps[AXIS_W]));
        rest /= f.taps[AXIS_W];
        span h = span_of(f.phase, AXIS_H, (int)(rest % f.taps[AXIS_H]));
        rest /= f.taps[AXIS_H];
        span d = span_of(f.phase, AXIS_D, (int)(rest % f.taps[AXIS_D]));
        int64_t out = rest / f.taps[AXIS_D];
        float sum = 0.0f;
        for (int z = d.first; z <= d.last; z++)
            for (int y = h.first; y <= h.last; y++)
                for (int x = w.first; x <= w.last; x++) {
                    int64_t from = (out * f.whole[AXIS_D] + z) * f.whole[AXIS_H] + y;
                    sum += kernels[(from * f.whole[AXIS_W] + x) * f.c + c];
                }
        folded[i] = from_f32<T>(sum);
    }
}

const char *convolution_fold_kernels(const struct operation *o, int phase, const float *kernels,
                                     void *folded)
{
    cudaStream_t stream = cuda_device()->stream;
    struct folding f = {
        convolution_phase(o, phase), {}, {}, o->output.shape.c, o->input[0].shape.c};
    int64_t count = f.out * f.c;
    for (int a = 0; a < AXES; a++) {
        f.whole[a] = o->convolution.kernel[a];
        f.taps[a] = f.phase.upsampled[a] ? 2 : f.whole[a];
        count *= f.taps[a];
    }
    if (o->output.dtype == DTYPE_BF16)
        fold<<<blocks_for(count), THREADS, 0, stream>>>(f, kernels, static_cast<bf16 *>(folded),
                                                        count);
    else
        fold<<<blocks_for(count), THREADS, 0, stream>>>(f, kernels, static_cast<float *>(folded),
                                                        count);
    return cuda_launched();
}

struct placing {
    struct shape map, whole;
    struct convolution_phase phase;
};

static __device__ int64_t place_of(const struct convolution_phase &phase, int axis,
                                   int64_t position)
{
    return (position << phase.upsampled[axis]) + phase.bit[axis];
}

/* V channels at once. */
template <typename T, int V>
static __global__ void place(struct placing p, const T *map, T *output, int64_t count)
{
    int64_t vectors = p.map.c / V;
    EACH(i, count)
    {
        int64_t c = i % vectors * V;
        struct position at = position_of(p.map, i / vectors);
        int64_t d = place_of(p.phase, AXIS_D, at.d), h = place_of(p.phase, AXIS_H, at.h);
        int64_t w = place_of(p.phase, AXIS_W, at.w);
        int64_t to = (((at.n * p.whole.d + d) * p.whole.h + h) * p.whole.w + w) * p.whole.c + c;
        *reinterpret_cast<pack_of<T, V> *>(output + to) =
            *reinterpret_cast<const pack_of<T, V> *>(map + i * V);
    }
}

template <typename T, int V>
static void launch_place(const struct placing *p, const void *map, void *output)
{
    int64_t count = shape_count(p->map) / V;
    place<T, V><<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        *p, static_cast<const T *>(map), static_cast<T *>(output), count);
}

const char *convolution_place_phase(const struct convolution_phases *s, int phase, const void *map,
                                    void *output)
{
    struct placing p = {s->map, s->forward.output.shape, convolution_phase(&s->forward, phase)};
    bool narrow = s->forward.output.dtype == DTYPE_BF16;
    bool whole = s->map.c % (narrow ? 8 : 4) == 0; /* vectors of 16 bytes */
    if (narrow)
        (whole ? launch_place<bf16, 8> : launch_place<bf16, 1>)(&p, map, output);
    else
        (whole ? launch_place<float, 4> : launch_place<float, 1>)(&p, map, output);
    return cuda_launched();
}
