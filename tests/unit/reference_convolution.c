#include "kernels/cpu/convert.h"
#include "tests/unit/reference.h"

#include <math.h>
#include <stdlib.h>

/* The input's index that position i of the padded axis holds, −1 for a zero. */
static int64_t source(enum padding padding, int64_t i, int64_t extent)
{
    if (padding == PADDING_REPLICATE)
        return i < 0 ? 0 : i >= extent ? extent - 1 : i;
    return i < 0 || i >= extent ? -1 : i;
}

/* Σ kernel·input at output (n, at…) for the output channel whose kernel (in, kd, kh, kw) is given.
 */
static double correlate(const struct operation *o, const void *input, const float *kernel,
                        int64_t n, const int64_t at[AXES])
{
    const struct convolution *c = &o->convolution;
    struct shape in = o->input[0].shape;
    int64_t extent[AXES] = {in.d, in.h, in.w}, i[AXES];
    int64_t volume = c->kernel[AXIS_D] * c->kernel[AXIS_H] * c->kernel[AXIS_W];
    double sum = 0.0;
    for (int64_t tap = 0; tap < volume; tap++) {
        int64_t k[AXES] = {tap / c->kernel[AXIS_W] / c->kernel[AXIS_H],
                           tap / c->kernel[AXIS_W] % c->kernel[AXIS_H], tap % c->kernel[AXIS_W]};
        bool inside = true;
        for (int a = 0; a < AXES; a++) {
            i[a] = source(c->padding, at[a] * c->stride[a] + k[a] - c->pad_front[a],
                          extent[a] << c->upsampled[a]);
            inside &= i[a] >= 0;
            i[a] >>= c->upsampled[a];
        }
        for (int64_t j = 0; inside && j < in.c; j++)
            sum += kernel[(c->first_channel + j) * volume + tap] *
                   reference_get(input, o->input[0].dtype,
                                 reference_offset(&o->input[0], n, i[0], i[1], i[2], j));
    }
    return sum;
}

static float *floats(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    float *values = calloc((size_t)count, sizeof *values);
    if (w->rank)
        weight_to_f32(w, 0, count, values);
    return values;
}

/* x after the convolution's batch norm, where it has one. */
static double normed(const struct operation *o, int64_t c, double x)
{
    double of[4];
    if (!(o->convolution.norm_epsilon > 0))
        return x;
    for (int i = 0; i < 4; i++)
        of[i] = reference_get(o->weight[2 + i].data, o->weight[2 + i].dtype, c);
    return of[0] * (x - of[2]) / sqrt(of[3] + o->convolution.norm_epsilon) + of[1];
}

/* One part's channels, from `first` on. */
static void one_part(const struct operation *o, int part, int64_t first, const void *const *inputs,
                     double *output)
{
    const struct weight *w = &o->weight[2 * part], *b = &o->weight[2 * part + 1];
    float *kernel = floats(w), *bias = floats(b);
    struct shape s = o->output.shape;
    double alpha = 1.0, beta = 1.0;
    if (o->convolution.mix) {
        float mix;
        weight_to_f32(&o->weight[2], 0, 1, &mix);
        alpha = 1.0 / (1.0 + exp(-(double)mix));
        beta = 1.0 - alpha;
    }
    int64_t size = w->shape[1];
    for (int a = 0; a < AXES; a++)
        size *= o->convolution.kernel[a];
    for (int64_t i = 0; i < s.n * s.d * s.h * s.w; i++)
        for (int64_t c = 0; c < w->shape[0]; c++) {
            int64_t at[AXES] = {i / s.w / s.h % s.d, i / s.w % s.h, i % s.w};
            int64_t to = i * s.c + first + c;
            double sum = correlate(o, inputs[0], kernel + c * size, i / s.w / s.h / s.d, at);
            output[to] = normed(o, c, alpha * (sum + (b->rank ? bias[c] : 0.0)));
            if (o->convolution.residual)
                output[to] += beta * reference_get(inputs[1], o->output.dtype, to);
            if (o->convolution.relu)
                output[to] = fmax(output[to], 0.0);
        }
    free(kernel);
    free(bias);
}

void reference_convolution(const struct operation *o, const void *const *inputs, double *output)
{
    int64_t first = 0;
    for (int part = 0; part < o->convolution.parts; part++) {
        one_part(o, part, first, inputs, output);
        first += o->weight[2 * part].shape[0];
    }
}

struct operation reference_half(const struct operation *pair, int half)
{
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = 1, .weights = 2};
    struct shape in = pair->input[0].shape;
    struct tensor between = pair->input[0];
    between.shape.d = convolution_extent(&pair->pair[0], AXIS_D, in.d);
    between.shape.h = convolution_extent(&pair->pair[0], AXIS_H, in.h);
    between.shape.w = convolution_extent(&pair->pair[0], AXIS_W, in.w);
    between.shape.c = pair->weight[0].shape[0];
    o.convolution = pair->pair[half];
    o.input[0] = half ? between : pair->input[0];
    o.output = half ? pair->output : between;
    o.weight[0] = pair->weight[2 * half];
    o.weight[1] = pair->weight[2 * half + 1];
    return o;
}

void reference_convolution_pair(const struct operation *o, const void *const *inputs,
                                double *output)
{
    struct operation first = reference_half(o, 0), second = reference_half(o, 1);
    int64_t count = shape_count(first.output.shape);
    double *sums = malloc((size_t)count * sizeof *sums);
    void *between = malloc((size_t)tensor_bytes(first.output));
    reference_convolution(&first, inputs, sums);
    for (int64_t i = 0; i < count; i++)
        reference_set(between, first.output.dtype, i, sums[i]);
    reference_convolution(&second, (const void *const[]){between}, output);
    free(sums);
    free(between);
}
