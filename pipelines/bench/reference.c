#include "pipelines/bench/reference.h"
#include "kernels/cpu/convert.h"

#include <math.h>
#include <stdlib.h>

struct reference {
    const struct operation *operation;
    const void *input;
    float *weight[OPERATION_WEIGHTS]; /* as f32; NULL: none */
    double alpha;
    bool failed;
};

static float *floats(struct reference *reference, const struct weight *w)
{
    int64_t count = 1;
    if (!w->rank)
        return NULL;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    float *values = malloc((size_t)count * sizeof *values);
    if (values)
        weight_to_f32(w, 0, count, values);
    else
        reference->failed = true;
    return values;
}

struct reference *reference_open(const struct operation *o, const void *input)
{
    struct reference *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->operation = o;
    r->input = input;
    r->alpha = 1;
    for (int i = 0; i < 2 * o->convolution.parts; i++)
        r->weight[i] = floats(r, &o->weight[i]);
    if (o->convolution.mix) {
        float mix;
        weight_to_f32(&o->weight[2], 0, 1, &mix);
        r->alpha = 1 / (1 + exp(-(double)mix));
    }
    if (r->failed) {
        reference_close(r);
        return NULL;
    }
    return r;
}

void reference_close(struct reference *reference)
{
    for (int i = 0; reference && i < OPERATION_WEIGHTS; i++)
        free(reference->weight[i]);
    free(reference);
}

/* The input's index under tap k of output o on an axis, −1 where there is a zero. */
static int64_t source(const struct convolution *c, int axis, int64_t o, int64_t k, int64_t extent)
{
    int64_t at = o * c->stride[axis] + k, padded = extent + c->pad_front[axis] + c->pad_back[axis];
    int64_t copies = c->upsampled[axis] ? 2 : 1;
    if (c->transposed) {
        at = o + c->crop[axis] - k;
        if (at < 0 || at % c->stride[axis] || at / c->stride[axis] >= padded)
            return -1;
        at /= c->stride[axis];
    }
    at -= c->pad_front[axis];
    if (c->padding == PADDING_REPLICATE)
        return at < 0 ? 0 : at >= copies * extent ? extent - 1 : at / copies;
    return at < 0 || at >= copies * extent ? -1 : at / copies;
}

/* Σ weight·input over the channels of a pixel; weight strides from one channel to the next. */
static double dot(const struct operation *o, const void *input, int64_t pixel, const float *weight,
                  int64_t stride)
{
    float buffer[256];
    const int64_t run = sizeof buffer / sizeof *buffer, channels = o->input[0].shape.c;
    double sum = 0;
    for (int64_t c = 0; c < channels; c += run) {
        int64_t count = channels - c < run ? channels - c : run;
        const float *x =
            activation_to_f32(input, o->input[0].dtype, pixel * channels + c, count, buffer);
        for (int64_t i = 0; i < count; i++)
            sum += (double)weight[(c + i) * stride] * x[i];
    }
    return sum;
}

double reference_output(const struct reference *r, int64_t at)
{
    const struct operation *o = r->operation;
    const struct convolution *c = &o->convolution;
    struct shape in = o->input[0].shape, out = o->output.shape;
    int64_t channel = at % out.c, w = at / out.c % out.w, h = at / out.c / out.w % out.h;
    int64_t d = at / out.c / out.w / out.h % out.d, n = at / out.c / out.w / out.h / out.d;
    int part = 0;
    for (; channel >= o->weight[2 * part].shape[c->transposed]; part++)
        channel -= o->weight[2 * part].shape[c->transposed];
    const int64_t *shape = o->weight[2 * part].shape;
    int64_t taps = (int64_t)c->kernel[AXIS_D] * c->kernel[AXIS_H] * c->kernel[AXIS_W];
    int64_t stride = c->transposed ? shape[1] * taps : taps;
    const float *kernel = r->weight[2 * part] + c->first_channel * stride;
    kernel += channel * taps * (c->transposed ? 1 : shape[1]);
    double sum = r->weight[2 * part + 1] ? r->weight[2 * part + 1][channel] : 0;
    for (int64_t tap = 0; tap < taps; tap++) {
        int64_t z = source(c, AXIS_D, d, tap / c->kernel[AXIS_W] / c->kernel[AXIS_H], in.d);
        int64_t y = source(c, AXIS_H, h, tap / c->kernel[AXIS_W] % c->kernel[AXIS_H], in.h);
        int64_t x = source(c, AXIS_W, w, tap % c->kernel[AXIS_W], in.w);
        if (z >= 0 && y >= 0 && x >= 0)
            sum += dot(o, r->input, ((n * in.d + z) * in.h + y) * in.w + x, kernel + tap, stride);
    }
    return r->alpha * sum;
}
