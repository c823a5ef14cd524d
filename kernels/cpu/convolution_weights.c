#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"

/* Extents of a weight tensor along kd, kh, kw, whatever its rank. */
static void kernel_extents(const struct operation *o, int64_t extent[AXES])
{
    for (int a = 0; a < AXES; a++)
        extent[a] = o->convolution.kernel[a];
}

static int64_t weight_count(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

static bool as_it_is(const struct convolution_state *s)
{
    const struct operation *o = &s->operation;
    const struct convolution *c = &o->convolution;
    return c->parts == 1 && o->weight[0].dtype == DTYPE_F32 && !c->transposed && !c->mix &&
           o->weight[0].shape[1] == o->input[0].shape.c &&
           s->factor[AXIS_D] * s->factor[AXIS_H] * s->factor[AXIS_W] == 1;
}

static int64_t dense_count(const struct convolution_state *s)
{
    return s->operation.output.shape.c * convolution_channels(s) * s->taps[AXIS_D] *
           s->taps[AXIS_H] * s->taps[AXIS_W];
}

size_t convolution_weights_scratch(const struct convolution_state *s)
{
    if (as_it_is(s))
        return 0;
    int64_t widest = 0;
    for (int part = 0; part < s->operation.convolution.parts; part++) {
        const struct weight *w = &s->operation.weight[2 * part];
        if (w->dtype != DTYPE_F32 && weight_count(w) > widest)
            widest = weight_count(w);
    }
    return (size_t)(dense_count(s) + widest) * sizeof(float);
}

/* Kernel index along an axis that tap `tap` of the dense convolution stands for, given its
 * space-to-depth offset; −1 where the kernel has ended. */
static int64_t kernel_index(const struct convolution_state *s, int phase, int axis, int64_t tap,
                            int offset)
{
    const struct convolution *c = &s->operation.convolution;
    if (!c->transposed)
        return tap * s->factor[axis] + offset;
    int64_t first = axis == AXIS_D ? s->shift[phase] : 0;
    int64_t k = first + (s->taps[axis] - 1 - tap) * c->stride[axis];
    return k < c->kernel[axis] ? k : -1;
}

/* One part's kernel, f32, rewritten to the dense convolution's taps and channels. */
static float *rewrite(const struct convolution_state *s, int phase, const float *from,
                      const struct weight *w, float *to)
{
    const struct convolution *c = &s->operation.convolution;
    int64_t extent[AXES], in = s->operation.input[0].shape.c;
    kernel_extents(&s->operation, extent);
    int64_t volume = extent[AXIS_D] * extent[AXIS_H] * extent[AXIS_W];
    int64_t out = w->shape[c->transposed ? 1 : 0];
    int offsets = s->factor[AXIS_D] * s->factor[AXIS_H] * s->factor[AXIS_W];
    for (int64_t o = 0; o < out; o++)
        for (int offset = 0; offset < offsets; offset++) {
            int fw = offset % s->factor[AXIS_W];
            int fh = offset / s->factor[AXIS_W] % s->factor[AXIS_H];
            int fd = offset / s->factor[AXIS_W] / s->factor[AXIS_H];
            for (int64_t i = 0; i < in; i++) {
                int64_t channel = i + c->first_channel;
                const float *kernel =
                    from + volume * (c->transposed ? channel * out + o : o * w->shape[1] + channel);
                for (int64_t d = 0; d < s->taps[AXIS_D]; d++)
                    for (int64_t h = 0; h < s->taps[AXIS_H]; h++)
                        for (int64_t x = 0; x < s->taps[AXIS_W]; x++) {
                            int64_t kd = kernel_index(s, phase, AXIS_D, d, fd);
                            int64_t kh = kernel_index(s, phase, AXIS_H, h, fh);
                            int64_t kw = kernel_index(s, phase, AXIS_W, x, fw);
                            int64_t at = (kd * extent[AXIS_H] + kh) * extent[AXIS_W] + kw;
                            *to++ = kd < 0 || kh < 0 || kw < 0 ? 0.0f : s->alpha * kernel[at];
                        }
            }
        }
    return to;
}

const float *convolution_weights(const struct convolution_state *s, int phase, void *scratch)
{
    if (as_it_is(s))
        return s->operation.weight[0].data;
    float *dense = scratch, *to = dense, *plain = dense + dense_count(s);
    for (int part = 0; part < s->operation.convolution.parts; part++) {
        const struct weight *w = &s->operation.weight[2 * part];
        const float *from = w->data;
        if (w->dtype != DTYPE_F32) {
            weight_to_f32(w, 0, weight_count(w), plain);
            from = plain;
        }
        to = rewrite(s, phase, from, w, to);
    }
    return dense;
}

void convolution_bias(const struct convolution_state *s, float *bias)
{
    const struct operation *o = &s->operation;
    for (int part = 0; part < o->convolution.parts; part++) {
        const struct weight *w = &o->weight[2 * part], *b = &o->weight[2 * part + 1];
        int64_t out = w->shape[o->convolution.transposed ? 1 : 0];
        if (b->rank)
            weight_to_f32(b, 0, out, bias);
        for (int64_t i = 0; i < out; i++)
            bias[i] = b->rank ? s->alpha * bias[i] : 0.0f;
        bias += out;
    }
}
