#include "tests/unit/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every element of a tensor's shape. */
#define EACH(s)                                                                                    \
    for (int64_t n = 0; n < (s).n; n++)                                                            \
        for (int64_t d = 0; d < (s).d; d++)                                                        \
            for (int64_t h = 0; h < (s).h; h++)                                                    \
                for (int64_t w = 0; w < (s).w; w++)                                                \
                    for (int64_t c = 0; c < (s).c; c++)

int64_t reference_offset(const struct tensor *t, int64_t n, int64_t d, int64_t h, int64_t w,
                         int64_t c)
{
    struct shape s = t->shape;
    int64_t slice = n * s.d + d;
    if (t->layout == SLICE_MAJOR)
        return ((slice * s.c + c) * s.h + h) * s.w + w;
    return ((slice * s.h + h) * s.w + w) * s.c + c;
}

static double f16_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

double reference_get(const void *data, enum dtype dtype, int64_t offset)
{
    uint32_t wide;
    uint16_t half;
    float value;
    switch (dtype) {
    case DTYPE_U8:
        return ((const uint8_t *)data)[offset];
    case DTYPE_F16:
        memcpy(&half, (const char *)data + 2 * offset, sizeof half);
        return f16_value(half);
    case DTYPE_BF16:
        memcpy(&half, (const char *)data + 2 * offset, sizeof half);
        wide = (uint32_t)half << 16;
        memcpy(&value, &wide, sizeof value);
        return value;
    default:
        memcpy(&value, (const char *)data + 4 * offset, sizeof value);
        return value;
    }
}

/* The nearest of the two bf16 numbers around a finite value: neighbours in magnitude differ by one
 * in their bits. */
static uint16_t bf16_nearest(double value)
{
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    uint16_t low = (uint16_t)(bits >> 16), high = (uint16_t)(low + 1);
    double below = fabs(single - reference_get(&low, DTYPE_BF16, 0));
    double above = fabs(reference_get(&high, DTYPE_BF16, 0) - single);
    if (below == above)
        return low % 2 ? high : low;
    return below < above ? low : high;
}

void reference_set(void *data, enum dtype dtype, int64_t offset, double value)
{
    if (dtype == DTYPE_U8)
        ((uint8_t *)data)[offset] = (uint8_t)value;
    else if (dtype == DTYPE_BF16)
        ((uint16_t *)data)[offset] = bf16_nearest(value);
    else
        ((float *)data)[offset] = (float)value;
}

/* An input, or a weight, as a new array of doubles. */
static double *doubles(const void *data, enum dtype dtype, int64_t count)
{
    double *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = reference_get(data, dtype, i);
    return values;
}

static double *weight_doubles(const struct weight *weight)
{
    int64_t count = 1;
    for (int i = 0; i < weight->rank; i++)
        count *= weight->shape[i];
    return doubles(weight->data, weight->dtype, count);
}

static double silu(double x)
{
    return x / (1.0 + exp(-x));
}

/* The inputs' channels one after another, to the layout of `to`. */
static void concatenate(const struct operation *o, int inputs, const void *const *data,
                        const struct tensor *to, double *output)
{
    int64_t first = 0;
    for (int i = 0; i < inputs; i++) {
        const struct tensor *t = &o->input[i];
        EACH(t->shape)
        output[reference_offset(to, n, d, h, w, first + c)] =
            reference_get(data[i], t->dtype, reference_offset(t, n, d, h, w, c));
        first += t->shape.c;
    }
}

/* Nearest ×2, or the mean of the positions that an output position covers; both channels-last. */
static void resample(const struct tensor *in, const double *from, const struct tensor *out,
                     enum resampling resampling, double *output)
{
    struct shape a = in->shape, b = out->shape;
    bool down = resampling == RESAMPLE_DOWN;
    int64_t planes = down ? a.d / b.d : b.d / a.d, count = down ? 4 * planes : 1;
    EACH(b)
    {
        double sum = 0.0;
        for (int64_t k = 0; k < count; k++) {
            int64_t z = down ? d * planes + k / 4 : d / planes;
            int64_t y = down ? 2 * h + k / 2 % 2 : h / 2, x = down ? 2 * w + k % 2 : w / 2;
            sum += from[reference_offset(in, n, z, y, x, c)];
        }
        output[reference_offset(out, n, d, h, w, c)] = sum / (double)count;
    }
}

/* Normalize the values of one group of a set: `rows` positions, c channels apart. */
static void normalize(double *values, int64_t rows, int64_t c, int64_t channels, double epsilon)
{
    double mean = 0.0, square = 0.0, count = (double)(rows * channels);
    for (int64_t i = 0; i < rows * channels; i++)
        mean += values[i / channels * c + i % channels] / count;
    for (int64_t i = 0; i < rows * channels; i++)
        square += pow(values[i / channels * c + i % channels] - mean, 2.0) / count;
    for (int64_t i = 0; i < rows * channels; i++) {
        double *value = &values[i / channels * c + i % channels];
        *value = (*value - mean) / sqrt(square + epsilon);
    }
}

static void group_norm(const struct operation *o, const void *const *inputs, double *output)
{
    const struct group_norm *g = &o->group_norm;
    struct tensor map = o->input[0];
    int64_t channels = o->output.shape.c;
    map.shape.c = channels;
    double *values = malloc((size_t)shape_count(map.shape) * sizeof *values);
    double *gamma = weight_doubles(&o->weight[0]), *beta = weight_doubles(&o->weight[1]);
    concatenate(o, g->sources, inputs, &map, values);
    int64_t sets = g->per_batch ? 1 : map.shape.n * (g->per_slice ? map.shape.d : 1);
    int64_t rows = shape_count(map.shape) / channels / sets, width = channels / g->groups;
    for (int64_t i = 0; i < sets * g->groups; i++)
        normalize(values + i / g->groups * rows * channels + i % g->groups * width, rows, channels,
                  width, g->epsilon);
    EACH(map.shape)
    {
        double *value = &values[reference_offset(&map, n, d, h, w, c)];
        *value = *value * gamma[c] + beta[c];
        if (g->scale_shift) {
            const struct tensor *t = &o->input[g->sources];
            int64_t row = (t->shape.n > 1 ? n : 0) * 2 * channels;
            *value = *value * (1.0 + reference_get(inputs[g->sources], DTYPE_F32, row + c)) +
                     reference_get(inputs[g->sources], DTYPE_F32, row + channels + c);
        }
        if (g->silu)
            *value = silu(*value);
    }
    if (g->resampling == RESAMPLE_NONE)
        memcpy(output, values, (size_t)shape_count(map.shape) * sizeof *values);
    else
        resample(&map, values, &o->output, g->resampling, output);
    free(values);
    free(gamma);
    free(beta);
}

/* One query: q (width) among `tokens` keys and values, each `stride` after the last. */
static void attend(const double *q, const double *k, int64_t tokens, int64_t stride, int64_t width,
                   double scale, double *output)
{
    double *score = calloc((size_t)tokens, sizeof *score), highest = -INFINITY, sum = 0.0;
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t i = 0; i < width; i++)
            score[t] += scale * q[i] * k[t * stride + i];
        highest = fmax(highest, score[t]);
    }
    for (int64_t t = 0; t < tokens; t++)
        sum += exp(score[t] - highest);
    memset(output, 0, (size_t)width * sizeof *output);
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < width; i++)
            output[i] += exp(score[t] - highest) / sum * k[t * stride + width + i];
    free(score);
}

static void attention(const struct operation *o, const void *const *inputs, double *output)
{
    struct shape s = o->input[0].shape;
    int64_t heads = o->attention.heads, width = s.c / 3 / heads;
    int64_t sets = o->attention.per_slice ? s.n * s.d : s.n, tokens = s.n * s.d * s.h * s.w / sets;
    double *values = doubles(inputs[0], o->input[0].dtype, shape_count(s));
    for (int64_t set = 0; set < sets; set++)
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t head = 0; head < heads; head++) {
                const double *q = values + (set * tokens + t) * s.c + head * 3 * width;
                const double *k = values + set * tokens * s.c + head * 3 * width + width;
                attend(q, k, tokens, s.c, width, (double)o->attention.scale,
                       output + ((set * tokens + t) * heads + head) * width);
            }
    free(values);
}

static void linear(const struct operation *o, const void *const *inputs, double *output)
{
    struct shape s = o->input[0].shape;
    int64_t in = s.c, out = o->output.shape.c, rows = shape_count(s) / in;
    double *x = doubles(inputs[0], DTYPE_F32, rows * in), *w = weight_doubles(&o->weight[0]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < out; i++) {
            double sum =
                o->weight[1].rank ? reference_get(o->weight[1].data, o->weight[1].dtype, i) : 0.0;
            for (int64_t j = 0; j < in; j++)
                sum += w[i * in + j] * (o->linear.silu_input ? silu(x[r * in + j]) : x[r * in + j]);
            output[r * out + i] = sum;
        }
    free(x);
    free(w);
}

static void timestep_embedding(const struct operation *o, const void *const *inputs, double *output)
{
    int64_t c = o->output.shape.c, half = c / 2;
    for (int64_t n = 0; n < o->output.shape.n; n++)
        for (int64_t i = 0; i < c; i++) {
            double frequency = pow(10000.0, -(double)(i % half) / (double)half);
            double angle = reference_get(inputs[0], DTYPE_F32, n) * frequency;
            output[n * c + i] = i >= 2 * half ? 0.0 : i < half ? cos(angle) : sin(angle);
        }
}

static void quantize(const struct operation *o, const void *const *inputs, double *output)
{
    int64_t c = o->output.shape.c, pixels = shape_count(o->output.shape) / c;
    double *z = doubles(inputs[0], DTYPE_F32, pixels * c), *codes = weight_doubles(&o->weight[0]);
    for (int64_t i = 0; i < pixels; i++) {
        double best = INFINITY;
        for (int64_t k = 0; k < o->weight[0].shape[0]; k++) {
            double distance = 0.0;
            for (int64_t j = 0; j < c; j++)
                distance += pow(z[i * c + j] - codes[k * c + j], 2.0);
            if (distance < best)
                memcpy(output + i * c, codes + k * c, (size_t)c * sizeof *codes);
            best = fmin(best, distance);
        }
    }
    free(z);
    free(codes);
}

static void resample_input(const struct operation *o, const void *const *inputs, double *output)
{
    double *from = doubles(inputs[0], o->input[0].dtype, shape_count(o->input[0].shape));
    resample(&o->input[0], from, &o->output, o->resample.resampling, output);
    int64_t out = shape_count(o->output.shape), in = shape_count(o->input[0].shape);
    for (int64_t i = 0; o->resample.gradient && i < out; i++)
        output[i] *= (double)in / (double)out;
    free(from);
}

static void to_slice_major(const struct operation *o, const void *const *inputs, double *output)
{
    EACH(o->output.shape)
    output[reference_offset(&o->output, n, d, h, w, c)] = reference_get(
        inputs[0], o->input[0].dtype,
        reference_offset(&o->input[0], n, d, h, w, c + o->to_slice_major.first_channel));
}

static void pool(const struct operation *o, const void *const *inputs, double *output)
{
    const struct pool *p = &o->pool;
    struct shape in = o->input[0].shape;
    EACH(o->output.shape)
    {
        double sum = 0.0, most = -INFINITY, count = 0.0;
        for (int64_t i = h * p->stride - p->pad; i < h * p->stride - p->pad + p->size; i++)
            for (int64_t j = w * p->stride - p->pad; j < w * p->stride - p->pad + p->size; j++) {
                if (i < 0 || j < 0 || i >= in.h || j >= in.w)
                    continue;
                double x = reference_get(inputs[0], DTYPE_F32,
                                         reference_offset(&o->input[0], n, d, i, j, c));
                sum += x;
                most = fmax(most, x);
                count += 1.0;
            }
        output[reference_offset(&o->output, n, d, h, w, c)] =
            p->pooling == POOL_MEAN ? sum / count : most;
    }
}

static void concatenate_all(const struct operation *o, const void *const *inputs, double *output)
{
    concatenate(o, o->inputs, inputs, &o->output, output);
}

void reference_run(const struct operation *o, const void *const *inputs, double *output)
{
    static void (*const run[OPERATION_KINDS])(const struct operation *, const void *const *,
                                              double *) = {
        [OP_TO_CHANNELS_LAST] = concatenate_all,
        [OP_TO_SLICE_MAJOR] = to_slice_major,
        [OP_CAST] = concatenate_all,
        [OP_CONVOLUTION] = reference_convolution,
        [OP_CONVOLUTION_PAIR] = reference_convolution_pair,
        [OP_GROUP_NORM] = group_norm,
        [OP_RESAMPLE] = resample_input,
        [OP_ATTENTION] = attention,
        [OP_LINEAR] = linear,
        [OP_TIMESTEP_EMBEDDING] = timestep_embedding,
        [OP_QUANTIZE] = quantize,
        [OP_POOL] = pool,
        [OP_CONCATENATE] = concatenate_all,
        [OP_CONVOLUTION_DATA] = reference_convolution_data,
        [OP_ADD] = reference_add,
        [OP_LOSS] = reference_loss,
        [OP_GATHER] = reference_gather,
        [OP_LEAKY_RELU] = reference_leaky_relu,
        [OP_MAX_POOL] = reference_max_pool,
        [OP_FEATURE_DISTANCE] = reference_feature_distance,
    };
    run[o->kind](o, inputs, output);
}
