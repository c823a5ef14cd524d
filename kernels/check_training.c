#include "kernels/check_training.h"

static bool is_plain(const struct tensor *t)
{
    struct shape s = t->shape;
    return (t->dtype == DTYPE_F32 || t->dtype == DTYPE_BF16) && s.n > 0 && s.d > 0 && s.h > 0 &&
           s.w > 0 && s.c > 0;
}

static bool is_like(const struct tensor *a, const struct tensor *b)
{
    return tensor_is_activation(a) && tensor_same_map(a, b) && a->shape.c == b->shape.c &&
           a->dtype == b->dtype;
}

static bool is_scalar(const struct tensor *t)
{
    return tensor_is_f32(t) && shape_count(t->shape) == 1;
}

int64_t weight_elements(const struct weight *w)
{
    int64_t count = w->rank ? 1 : 0;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

const char *check_elementwise(const struct operation *o, int inputs)
{
    const struct tensor *first = &o->input[0];
    if (o->inputs < inputs)
        return "an input is missing";
    for (int i = 0; i < inputs; i++) {
        const struct tensor *t = &o->input[i];
        if (!is_plain(t) || t->layout != first->layout)
            return "inputs must be f32 or bf16, of one layout";
        if (!tensor_same_map(t, first) || t->shape.c != first->shape.c)
            return "the inputs differ in shape";
    }
    return NULL;
}

struct operation convolution_forward(const struct operation *gradient, struct tensor x,
                                     struct tensor y)
{
    struct operation forward = *gradient;
    forward.kind = OP_CONVOLUTION;
    forward.inputs = gradient->convolution.residual ? 2 : 1;
    forward.input[0] = x;
    forward.input[1] = forward.output = y;
    forward.convolution.residual_slice = 0;
    return forward;
}

const char *check_convolution_data(const struct operation *o)
{
    struct operation forward = convolution_forward(o, o->output, o->input[0]);
    const char *why = check_convolution(&forward);
    if (why)
        return why;
    return o->inputs == 2 && !is_like(&o->input[1], &o->output)
               ? "what is added is not like the output"
               : NULL;
}

const char *check_convolution_weights(const struct operation *o)
{
    struct operation forward = convolution_forward(o, o->input[0], o->input[1]);
    if (o->inputs != 2)
        return "the gradient of weights takes x and dy";
    if (!is_scalar(&o->output))
        return "the output of a gradient of weights is one f32";
    return check_convolution(&forward);
}

const char *check_mix_gradient(const struct operation *o)
{
    const char *why = check_elementwise(o, o->gradient[0] ? 3 : 1);
    if (why)
        return why;
    if (o->weights != 1 || !weight_is_vector(&o->weight[0], 1))
        return "the mix factor is not one number";
    if (tensor_bytes(o->output) != tensor_bytes(o->input[0]) ||
        o->output.dtype != o->input[0].dtype)
        return "the output is not like dy";
    return NULL;
}

int64_t group_norm_set_count(const struct group_norm *g, struct shape map)
{
    return g->per_batch ? 1 : map.n * (g->per_slice ? map.d : 1);
}

const char *check_group_norm_sums(const struct operation *o)
{
    struct operation forward = *o;
    forward.inputs--;
    forward.output = o->input[o->inputs > 0 ? o->inputs - 1 : 0];
    const char *why = o->inputs < 2 ? "a gradient is missing" : check_group_norm(&forward);
    if (why)
        return why;
    struct shape out = o->output.shape;
    if (o->group_norm.resampling != RESAMPLE_NONE || !tensor_is_f32(&o->output) ||
        out.n != group_norm_set_count(&o->group_norm, o->input[0].shape) ||
        out.d * out.h * out.w != 1 || out.c != GROUP_NORM_SUMS * forward.output.shape.c)
        return "sums are f32 (sets, 1, 1, 1, GROUP_NORM_SUMS·c), without resampling";
    return NULL;
}

const char *check_group_norm_data(const struct operation *o)
{
    const struct tensor *x = &o->input[0], *dy = &o->input[1], *sums = &o->input[2];
    const struct group_norm *g = &o->group_norm;
    if (o->inputs < 3 || o->inputs > 4 || !tensor_is_activation(x) || !tensor_is_activation(dy) ||
        !tensor_same_map(x, dy) || x->dtype != dy->dtype || g->source < 0 ||
        g->source >= g->sources)
        return "a norm's gradient reads a source, dy like the output, and sums";
    if (!is_like(&o->output, x) || (o->inputs == 4 && !is_like(&o->input[3], x)))
        return "the gradient is not like its source";
    struct shape s = x->shape;
    if (!tensor_is_f32(sums) || sums->shape.c != GROUP_NORM_SUMS * dy->shape.c ||
        s.n * s.d * s.h * s.w % sums->shape.n || (g->source == 0 && s.c > dy->shape.c) ||
        (g->sources == 1 && s.c != dy->shape.c))
        return "the sums are not those of the norm";
    return NULL;
}

const char *check_group_norm_weights(const struct operation *o)
{
    const struct tensor *sums = &o->input[0], *vectors = &o->input[1];
    bool scale_shift = o->group_norm.scale_shift;
    if (o->inputs != 1 + scale_shift || !tensor_is_f32(sums) || sums->shape.c % GROUP_NORM_SUMS ||
        !tensor_is_f32(&o->output))
        return "sums of a norm, and a scale and shift where it has one, are needed";
    int64_t c = sums->shape.c / GROUP_NORM_SUMS;
    if (o->weights != 2 || !weight_is_vector(&o->weight[0], c) ||
        !weight_is_vector(&o->weight[1], c))
        return "weight and bias are not (c)";
    if (scale_shift &&
        (!tensor_is_f32(vectors) || vectors->shape.c != 2 * c || sums->shape.n % vectors->shape.n ||
         !tensor_same_map(vectors, &o->output) || o->output.shape.c != 2 * c))
        return "the output is not like the scale and shift";
    return NULL;
}

const char *check_attention_data(const struct operation *o)
{
    const struct tensor *qkv = &o->input[0], *y = &o->input[1], *dy = &o->input[2];
    const struct attention *a = &o->attention;
    if (o->inputs != 3 || !tensor_is_activation(qkv) || !tensor_is_activation(y) ||
        !tensor_is_activation(dy) || y->dtype != qkv->dtype || dy->dtype != qkv->dtype ||
        o->output.dtype != qkv->dtype)
        return "qkv, y, dy and dqkv must be channels-last, all f32 or all bf16";
    if (!tensor_same_map(qkv, y) || !is_like(y, dy) || !is_like(&o->output, qkv))
        return "the gradients are not like their values";
    if (a->heads < 1 || y->shape.c % a->heads || qkv->shape.c != 3 * y->shape.c)
        return "channels must be 3·heads·width in, heads·width out";
    return NULL;
}

static const char *check_linear_gradient(const struct operation *o, const struct tensor *x,
                                         const struct tensor *dy)
{
    const struct weight *w = &o->weight[0];
    if (o->inputs != 2 || !tensor_is_f32(x) || !tensor_is_f32(dy) || !tensor_same_map(x, dy))
        return "x and dy must be channels-last f32, of one n, d, h and w";
    if (o->weights < 1 || w->rank < 2 || w->shape[0] != dy->shape.c || w->shape[1] != x->shape.c)
        return "the matrix is not (out, in)";
    return NULL;
}

const char *check_linear_data(const struct operation *o)
{
    const char *why = check_linear_gradient(o, &o->input[1], &o->input[0]);
    if (why)
        return why;
    return is_like(&o->output, &o->input[1]) ? NULL : "the gradient is not like x";
}

const char *check_linear_weights(const struct operation *o)
{
    const char *why = check_linear_gradient(o, &o->input[0], &o->input[1]);
    if (why)
        return why;
    return tensor_is_f32(&o->output) ? NULL : "the token is one f32";
}

const char *check_codebook_weights(const struct operation *o)
{
    const struct tensor *y = &o->input[0], *dy = &o->input[1];
    const struct weight *w = &o->weight[0];
    if (o->inputs != 2 || !tensor_is_f32(y) || !is_like(y, dy) || !tensor_is_f32(&o->output))
        return "codes and their gradient must be channels-last f32 of one shape";
    if (o->weights != 1 || w->rank != 2 || w->shape[1] != y->shape.c || w->shape[0] < 1 ||
        w->shape[0] > INT32_MAX)
        return "the codebook is not (codes, c)";
    return NULL;
}

const char *check_add(const struct operation *o)
{
    const char *why = check_elementwise(o, 2);
    if (why)
        return why;
    if (tensor_bytes(o->output) != tensor_bytes(o->input[0]) ||
        o->output.dtype != o->input[0].dtype || o->output.layout != o->input[0].layout)
        return "the sum is not like its first term";
    return o->inputs > 2 && !is_scalar(&o->input[2]) ? "the factor is not one f32" : NULL;
}

const char *check_fill(const struct operation *o)
{
    return o->inputs || !tensor_is_f32(&o->output) ? "a constant is f32 and reads nothing" : NULL;
}

int loss_terms(enum loss_kind kind)
{
    return kind == LOSS_L1 || kind == LOSS_L2 ? 2 : 1;
}

const char *check_loss(const struct operation *o)
{
    bool gradient = o->kind == OP_LOSS_DATA;
    int terms = loss_terms(o->loss.kind);
    const char *why = check_elementwise(o, terms);
    if (why)
        return why;
    if (o->inputs != terms + gradient || !is_scalar(gradient ? &o->input[terms] : &o->output))
        return "a loss is one f32, of x and, by its kind, of a target";
    if (gradient && (tensor_bytes(o->output) != tensor_bytes(o->input[0]) ||
                     o->output.dtype != o->input[0].dtype))
        return "the gradient is not like x";
    return NULL;
}

const char *check_gather(const struct operation *o)
{
    bool scatter = o->kind == OP_SCATTER;
    const struct tensor *whole = scatter ? &o->output : &o->input[0];
    const struct tensor *part = scatter ? &o->input[0] : &o->output, *numbers = &o->input[1];
    struct shape a = whole->shape, b = part->shape;
    if (o->inputs != 2 || (whole->dtype != DTYPE_F32 && whole->dtype != DTYPE_BF16) ||
        whole->dtype != part->dtype || whole->layout != part->layout)
        return "slices are f32 or bf16, of one layout";
    if (a.n != 1 || b.n != 1 || a.h != b.h || a.w != b.w || a.c != b.c || a.d < 1 || b.d < 1 ||
        a.h * a.w * a.c < 1)
        return "whole and picked slices differ in more than their number";
    return !tensor_is_f32(numbers) || shape_count(numbers->shape) != b.d
               ? "one number a picked slice, f32, is needed"
               : NULL;
}

const char *check_leaky_relu(const struct operation *o)
{
    const char *why = check_elementwise(o, o->kind == OP_LEAKY_RELU_DATA ? 2 : 1);
    if (why)
        return why;
    if (!(o->leaky_relu.slope >= 0.0f))
        return "a slope below 0";
    return is_like(&o->output, &o->input[0]) ? NULL : "the output is not like the input";
}

const char *check_max_pool(const struct operation *o)
{
    bool gradient = o->kind == OP_MAX_POOL_DATA;
    const struct tensor *large = &o->input[0], *small = gradient ? &o->input[1] : &o->output;
    struct shape a = large->shape, b = small->shape;
    if (o->inputs != 1 + gradient || !tensor_is_activation(large) || !tensor_is_activation(small) ||
        large->dtype != small->dtype)
        return "maps must be channels-last, all f32 or all bf16";
    if (a.n != b.n || a.d != b.d || a.h / 2 != b.h || a.w / 2 != b.w || a.c != b.c)
        return "the pooled map is not half as high and wide";
    return gradient && !is_like(&o->output, large) ? "the gradient is not like the map" : NULL;
}

const char *check_feature_distance(const struct operation *o)
{
    bool gradient = o->kind == OP_FEATURE_DISTANCE_DATA;
    const struct tensor *x = &o->input[0], *y = &o->input[1];
    if (o->inputs != 2 + gradient || !tensor_is_activation(x) || !is_like(y, x))
        return "features must be channels-last, both f32 or both bf16, of one shape";
    if (!is_scalar(gradient ? &o->input[2] : &o->output))
        return "a distance is one f32";
    if (gradient && !is_like(&o->output, x))
        return "the gradient is not like the features";
    if (o->weights != 1 || weight_elements(&o->weight[0]) != x->shape.c)
        return "the weights are not one a channel";
    return NULL;
}

const char *check_running_moments(const struct operation *o)
{
    struct shape s = o->input[0].shape;
    if (o->inputs != 1 || !tensor_is_activation(&o->input[0]) || !tensor_is_f32(&o->output))
        return "moments are of one channels-last f32 or bf16 map";
    if (o->weights != 2 || !weight_is_vector(&o->weight[0], s.c) ||
        !weight_is_vector(&o->weight[1], s.c) || !o->gradient[0] || !o->gradient[1])
        return "mean and variance are not (c)";
    return s.n * s.d * s.h * s.w < 2 ? "one value a channel has no variance" : NULL;
}

const char *check_adaptive_weight(const struct operation *o)
{
    return o->weights != 2 || !o->gradient[0] || !o->gradient[1] || !is_scalar(&o->output)
               ? "two gradients make one f32"
               : NULL;
}
