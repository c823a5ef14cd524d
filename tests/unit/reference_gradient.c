#include "kernels/cpu/convert.h"
#include "tests/unit/reference.h"

#include <math.h>
#include <string.h>

/* One product of a convolution: x element, y element, kernel element of its part. */
struct term {
    int64_t x, y, kernel;
    int part;
};

/* The input position that output o sees under tap k along an axis; −1: none, or a zero. */
static int64_t source(const struct convolution *c, int axis, int64_t extent, int64_t o, int64_t k)
{
    int64_t padded = extent + c->pad_front[axis] + c->pad_back[axis];
    int64_t at = o * c->stride[axis] + k;
    if (c->transposed) {
        at = o + c->crop[axis] - k;
        if (at < 0 || at % c->stride[axis] || at / c->stride[axis] >= padded)
            return -1;
        at /= c->stride[axis];
    }
    at = at < c->pad_front[axis] ? -1 : (at - c->pad_front[axis]) >> c->upsampled[axis];
    if (c->padding == PADDING_REPLICATE)
        return at < 0 ? 0 : at >= extent ? extent - 1 : at;
    return at < extent ? at : -1;
}

/* Visit the products of one output position y (counted without channels) under one tap. */
static void visit_tap(const struct operation *o, struct shape x, struct shape y, int64_t position,
                      int64_t tap, void (*visit)(struct term, void *), void *context)
{
    const struct convolution *c = &o->convolution;
    int64_t kh = c->kernel[AXIS_H], kw = c->kernel[AXIS_W], taps = c->kernel[AXIS_D] * kh * kw;
    int64_t z = source(c, AXIS_D, x.d, position / y.w / y.h % y.d, tap / kw / kh);
    int64_t row = source(c, AXIS_H, x.h, position / y.w % y.h, tap / kw % kh);
    int64_t column = source(c, AXIS_W, x.w, position % y.w, tap % kw), first = 0;
    int64_t from = ((position / y.w / y.h / y.d * x.d + z) * x.h + row) * x.w + column;
    if (z < 0 || row < 0 || column < 0)
        return;
    for (int part = 0; part < c->parts; part++) {
        const struct weight *w = &o->weight[2 * part];
        int64_t out = w->shape[c->transposed ? 1 : 0];
        for (int64_t i = 0; i < out; i++)
            for (int64_t j = 0; j < x.c; j++) {
                int64_t in = j + c->first_channel;
                int64_t pair = c->transposed ? in * out + i : i * w->shape[1] + in;
                visit((struct term){from * x.c + j, position * y.c + first + i, pair * taps + tap,
                                    part},
                      context);
            }
        first += out;
    }
}

static void visit_all(const struct operation *o, struct shape x, struct shape y,
                      void (*visit)(struct term, void *), void *context)
{
    const int *k = o->convolution.kernel;
    for (int64_t i = 0; i < y.n * y.d * y.h * y.w; i++)
        for (int64_t tap = 0; tap < k[AXIS_D] * k[AXIS_H] * k[AXIS_W]; tap++)
            visit_tap(o, x, y, i, tap, visit, context);
}

static double mix_of(const struct operation *o)
{
    float mix;
    if (!o->convolution.mix)
        return 1.0;
    weight_to_f32(&o->weight[2], 0, 1, &mix);
    return 1.0 / (1.0 + exp(-(double)mix));
}

struct data {
    const struct operation *operation;
    const void *dy;
    double *dx, a;
};

static void add_data(struct term t, void *context)
{
    struct data *d = context;
    float weight;
    weight_to_f32(&d->operation->weight[2 * t.part], t.kernel, 1, &weight);
    d->dx[t.x] += d->a * weight * reference_get(d->dy, d->operation->input[0].dtype, t.y);
}

void reference_convolution_data(const struct operation *o, const void *const *inputs,
                                double *output)
{
    struct data data = {o, inputs[0], output, mix_of(o)};
    for (int64_t i = 0; i < shape_count(o->output.shape); i++)
        output[i] = o->inputs == 2 ? reference_get(inputs[1], o->output.dtype, i) : 0.0;
    visit_all(o, o->output.shape, o->input[0].shape, add_data, &data);
}

struct sums {
    const struct operation *operation;
    const void *const *inputs;
    double *const *sum, *const *absolute, a;
};

static void add_product(struct term t, void *context)
{
    struct sums *s = context;
    double product = s->a * reference_get(s->inputs[0], s->operation->input[0].dtype, t.x) *
                     reference_get(s->inputs[1], s->operation->input[1].dtype, t.y);
    s->sum[2 * t.part][t.kernel] += product;
    s->absolute[2 * t.part][t.kernel] += fabs(product);
}

static int64_t weight_count(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

void reference_convolution_weights(const struct operation *o, const void *const *inputs,
                                   double *const *sums, double *const *absolute)
{
    struct shape y = o->input[1].shape;
    struct sums context = {o, inputs, sums, absolute, mix_of(o)};
    for (int i = 0; i < 2 * o->convolution.parts; i++) {
        memset(sums[i], 0, (size_t)weight_count(&o->weight[i]) * sizeof *sums[i]);
        memset(absolute[i], 0, (size_t)weight_count(&o->weight[i]) * sizeof *absolute[i]);
    }
    visit_all(o, o->input[0].shape, y, add_product, &context);
    int64_t first = 0;
    for (int part = 0; part < o->convolution.parts; part++) {
        int64_t out = o->weight[2 * part].shape[o->convolution.transposed ? 1 : 0];
        for (int64_t i = 0; i < shape_count(y) / y.c; i++)
            for (int64_t j = 0; j < out; j++) {
                double term =
                    context.a * reference_get(inputs[1], o->input[1].dtype, i * y.c + first + j);
                sums[2 * part + 1][j] += term;
                absolute[2 * part + 1][j] += fabs(term);
            }
        first += out;
    }
}
