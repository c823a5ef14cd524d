#include "tests/unit/reference.h"

#include <math.h>

static double get(const struct operation *o, const void *const *inputs, int input, int64_t i)
{
    return reference_get(inputs[input], o->input[input].dtype, i);
}

void reference_add(const struct operation *o, const void *const *inputs, double *output)
{
    double factor = o->add.weight * (o->inputs > 2 ? get(o, inputs, 2, 0) : 1.0);
    for (int64_t i = 0; i < shape_count(o->output.shape); i++)
        output[i] = get(o, inputs, 0, i) + factor * get(o, inputs, 1, i);
}

void reference_loss(const struct operation *o, const void *const *inputs, double *output)
{
    int64_t count = shape_count(o->input[0].shape);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double x = get(o, inputs, 0, i), t = o->inputs > 1 ? get(o, inputs, 1, i) : 0.0;
        switch (o->loss.kind) {
        case LOSS_L1:
            sum += fabs(x - t);
            break;
        case LOSS_L2:
            sum += (x - t) * (x - t);
            break;
        case LOSS_MEAN:
            sum += x;
            break;
        case LOSS_HINGE_REAL:
            sum += fmax(0.0, 1.0 - x);
            break;
        case LOSS_HINGE_FAKE:
            sum += fmax(0.0, 1.0 + x);
            break;
        }
    }
    *output = o->loss.weight * sum / (double)count;
}

void reference_gather(const struct operation *o, const void *const *inputs, double *output)
{
    int64_t count = shape_count(o->output.shape) / o->output.shape.d;
    for (int64_t i = 0; i < o->output.shape.d; i++)
        for (int64_t j = 0; j < count; j++)
            output[i * count + j] = get(o, inputs, 0, (int64_t)get(o, inputs, 1, i) * count + j);
}

void reference_leaky_relu(const struct operation *o, const void *const *inputs, double *output)
{
    for (int64_t i = 0; i < shape_count(o->output.shape); i++) {
        double x = get(o, inputs, 0, i);
        output[i] = x > 0.0 ? x : o->leaky_relu.slope * x;
    }
}

void reference_max_pool(const struct operation *o, const void *const *inputs, double *output)
{
    struct shape s = o->output.shape;
    for (int64_t i = 0; i < shape_count(s); i++) {
        int64_t c = i % s.c, w = i / s.c % s.w, h = i / s.c / s.w % s.h,
                slice = i / s.c / s.w / s.h;
        output[i] = -INFINITY;
        for (int k = 0; k < 4; k++)
            output[i] = fmax(output[i], get(o, inputs, 0,
                                            reference_offset(&o->input[0], slice / s.d, slice % s.d,
                                                             2 * h + k / 2, 2 * w + k % 2, c)));
    }
}

static double norm_of(const struct operation *o, const void *const *inputs, int input,
                      int64_t first)
{
    double sum = 0.0;
    for (int64_t j = 0; j < o->input[0].shape.c; j++)
        sum += pow(get(o, inputs, input, first + j), 2.0);
    return sqrt(sum) + 1e-10;
}

void reference_feature_distance(const struct operation *o, const void *const *inputs,
                                double *output)
{
    int64_t c = o->input[0].shape.c, positions = shape_count(o->input[0].shape) / c;
    *output = 0.0;
    for (int64_t i = 0; i < positions * c; i++) {
        int64_t first = i / c * c;
        double x = get(o, inputs, 0, i) / norm_of(o, inputs, 0, first);
        double y = get(o, inputs, 1, i) / norm_of(o, inputs, 1, first);
        double weight = reference_get(o->weight[0].data, o->weight[0].dtype, i % c);
        *output += weight * (x - y) * (x - y) / (double)positions;
    }
}
