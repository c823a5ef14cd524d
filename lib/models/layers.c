#include "lib/models/layers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct layer_key layer_key(const char *format, ...)
{
    struct layer_key key;
    va_list list;
    va_start(list, format);
    vsnprintf(key.text, sizeof key.text, format, list);
    va_end(list);
    return key;
}

int layer_fail(struct builder *b, const char *format, ...)
{
    char text[400];
    va_list list;
    if (b->failed) /* the first reason is the one to tell */
        return -1;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    b->failed = true;
    return error_set(b->error, "%s", text);
}

static int stick(struct builder *b, int status)
{
    b->failed |= status < 0;
    return status;
}

int64_t layer_channels(const struct builder *b, int x)
{
    return b->failed ? 1 : graph_tensor(b->graph, x).shape.c;
}

static struct tensor activation(const struct builder *b, struct shape shape, bool f32)
{
    return (struct tensor){shape, f32 ? DTYPE_F32 : b->graph->activations, CHANNELS_LAST};
}

void layer_weight(struct builder *b, const char *key, int rank, const int64_t *shape,
                  struct operation *o)
{
    if (b->failed)
        return;
    stick(b, weights_get(b->weights, key, rank, shape, &o->weight[o->weights], b->error));
    o->gradient[o->weights++] = weights_gradient(b->weights, key);
}

int layer_add(struct builder *b, const struct operation *o, const int *inputs, int count,
              const char *name)
{
    return b->failed ? -1 : stick(b, graph_add(b->graph, o, inputs, count, name, b->error));
}

int layer_input(struct builder *b, int64_t n, int64_t d, int64_t c, int64_t h, int64_t w)
{
    struct tensor tensor = {{n, d, h, w, c}, DTYPE_F32, SLICE_MAJOR};
    return b->failed ? -1 : stick(b, graph_input(b->graph, tensor, b->error));
}

int layer_timesteps(struct builder *b, int64_t n)
{
    struct tensor tensor = {{n, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};
    return b->failed ? -1 : stick(b, graph_input(b->graph, tensor, b->error));
}

int layer_channels_last(struct builder *b, const int *inputs, int count, bool f32)
{
    if (b->failed)
        return -1;
    struct shape shape = graph_tensor(b->graph, inputs[0]).shape;
    for (int i = 1; i < count; i++)
        shape.c += graph_tensor(b->graph, inputs[i]).shape.c;
    struct operation o = {.kind = OP_TO_CHANNELS_LAST, .output = activation(b, shape, f32)};
    return layer_add(b, &o, inputs, count, "input");
}

int layer_cast(struct builder *b, int x, enum dtype dtype)
{
    if (b->failed || graph_tensor(b->graph, x).dtype == dtype)
        return x;
    struct operation o = {.kind = OP_CAST, .output = graph_tensor(b->graph, x)};
    o.output.dtype = dtype;
    return layer_add(b, &o, &x, 1, "cast");
}

void layer_output(struct builder *b, int x)
{
    if (b->failed)
        return;
    struct operation o = {.kind = OP_TO_SLICE_MAJOR, .output = graph_tensor(b->graph, x)};
    o.output.dtype = DTYPE_F32;
    o.output.layout = SLICE_MAJOR;
    int y = layer_add(b, &o, &x, 1, "output");
    if (!b->failed)
        stick(b, graph_output(b->graph, y, b->error));
}

/* Kernel, stride and pads along one axis. */
static void set_axis(struct convolution *to, int axis, struct layer_convolution c)
{
    bool flat = axis == AXIS_D && c.dims == 2;
    to->kernel[axis] = flat ? 1 : c.kernel;
    to->stride[axis] = flat                               ? 1
                       : axis == AXIS_D && c.depth_stride ? c.depth_stride
                       : c.transposed                     ? 1
                                                          : c.stride;
    if (flat)
        return;
    int all = c.kernel - to->stride[axis];
    if (c.replicate) {
        to->pad_front[axis] = all / 2 + all % 2;
        to->pad_back[axis] = all / 2;
    } else if (c.pad_back_only) {
        to->pad_back[axis] = 1;
    } else {
        to->pad_front[axis] = to->pad_back[axis] = (c.kernel - 1) / 2;
    }
    to->crop[axis] = c.transposed ? c.kernel - 1 : 0;
}

static struct convolution convolution_of(struct layer_convolution c)
{
    struct convolution to = {.parts = 1,
                             .transposed = c.transposed,
                             .padding = c.replicate ? PADDING_REPLICATE : PADDING_ZERO,
                             .residual = c.residual > 0,
                             .mix = c.mix != NULL};
    c.stride = c.stride ? c.stride : 1;
    for (int axis = 0; axis < AXES; axis++)
        set_axis(&to, axis, c);
    return to;
}

static struct shape convolved(const struct convolution *c, struct shape in, int64_t channels)
{
    return (struct shape){in.n, convolution_extent(c, AXIS_D, in.d),
                          convolution_extent(c, AXIS_H, in.h), convolution_extent(c, AXIS_W, in.w),
                          channels};
}

/* Leave the other slices out of an output of `whole` slices. */
static void keep_slices(struct convolution *c, struct layer_slices kept, int64_t whole)
{
    if (!kept.count)
        return;
    c->pad_front[AXIS_D] -= (int)kept.first;
    c->pad_back[AXIS_D] -= (int)(whole - kept.first - kept.count);
    c->residual_slice = kept.first;
}

static void get_kernel(struct builder *b, const char *key, struct layer_convolution c, int64_t in,
                       struct operation *o)
{
    int64_t k = c.kernel, out = c.out;
    int64_t shape[WEIGHT_RANK] = {c.transposed ? in : out, c.transposed ? out : in, k, k, k};
    layer_weight(b, KEY("%s.weight", key), 2 + c.dims, shape, o);
    if (c.no_bias)
        o->weight[o->weights++] = (struct weight){0};
    else
        layer_weight(b, KEY("%s.bias", key), 1, &out, o);
}

int layer_convolution(struct builder *b, int x, const char *key, struct layer_convolution c)
{
    if (b->failed)
        return -1;
    struct shape in = graph_tensor(b->graph, x).shape;
    struct operation o = {.kind = OP_CONVOLUTION, .convolution = convolution_of(c)};
    keep_slices(&o.convolution, c.slices, convolution_extent(&o.convolution, AXIS_D, in.d));
    o.output = activation(b, convolved(&o.convolution, in, c.out), c.f32);
    if (o.output.dtype != DTYPE_F32)
        x = layer_cast(b, x, o.output.dtype);
    get_kernel(b, key, c, in.c, &o);
    if (c.mix)
        layer_weight(b, c.mix, 1, (const int64_t[]){1}, &o);
    return layer_add(b, &o, (const int[]){x, c.residual}, c.residual > 0 ? 2 : 1, key);
}

int layer_convolution_pair(struct builder *b, int x, const char *const keys[2],
                           const struct layer_convolution c[2])
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_CONVOLUTION_PAIR};
    struct shape shape = graph_tensor(b->graph, x).shape;
    for (int i = 0; i < 2; i++) {
        o.pair[i] = convolution_of(c[i]);
        get_kernel(b, keys[i], c[i], shape.c, &o);
        shape = convolved(&o.pair[i], shape, c[i].out);
    }
    o.output = activation(b, shape, c[1].f32);
    return layer_add(b, &o, &x, 1, keys[1]);
}

int layer_concatenated_1x1(struct builder *b, const int *sources, int count, const char *key,
                           int dims, int64_t out)
{
    int64_t all = 0;
    for (int i = 0; i < count; i++)
        all += layer_channels(b, sources[i]);
    int sum = -1;
    for (int i = 0, first = 0; i < count && !b->failed; i++) {
        struct shape shape = graph_tensor(b->graph, sources[i]).shape;
        struct operation o = {.kind = OP_CONVOLUTION};
        o.convolution = (struct convolution){.kernel = {1, 1, 1},
                                             .stride = {1, 1, 1},
                                             .parts = 1,
                                             .first_channel = first,
                                             .residual = i > 0};
        first += (int)shape.c;
        shape.c = out;
        o.output = activation(b, shape, false);
        get_kernel(b, key, (struct layer_convolution){.dims = dims, .kernel = 1, .out = out}, all,
                   &o);
        if (i > 0) { /* the bias is added once */
            o.weight[1].rank = 0;
            o.gradient[1] = NULL;
        }
        sum = layer_add(b, &o, (const int[]){sources[i], sum}, i > 0 ? 2 : 1, key);
    }
    return sum;
}

int layer_stacked_1x1(struct builder *b, int x, const char *const keys[3], int64_t out)
{
    if (b->failed)
        return -1;
    struct shape shape = graph_tensor(b->graph, x).shape;
    struct operation o = {.kind = OP_CONVOLUTION};
    o.convolution = (struct convolution){.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .parts = 3};
    for (int i = 0; i < 3; i++)
        get_kernel(b, keys[i], (struct layer_convolution){.dims = 2, .kernel = 1, .out = out},
                   shape.c, &o);
    shape.c = 3 * out;
    o.output = activation(b, shape, false);
    return layer_add(b, &o, &x, 1, keys[0]);
}

/* Extents after resampling; halving an odd one is refused by the kernel with the node's name. */
static struct shape resampled(struct shape s, enum resampling resampling, bool depth)
{
    if (resampling == RESAMPLE_UP)
        return (struct shape){s.n, depth ? 2 * s.d : s.d, 2 * s.h, 2 * s.w, s.c};
    if (resampling == RESAMPLE_DOWN)
        return (struct shape){s.n, depth ? s.d / 2 : s.d, s.h / 2, s.w / 2, s.c};
    return s;
}

int layer_norm(struct builder *b, const int *sources, int count, const char *key,
               struct layer_norm n)
{
    if (b->failed)
        return -1;
    struct tensor tensor = graph_tensor(b->graph, sources[0]);
    for (int i = 1; i < count; i++)
        tensor.shape.c += layer_channels(b, sources[i]);
    int64_t channels = tensor.shape.c;
    if (n.groups < 1 || channels % n.groups)
        return layer_fail(b, "%s: %lld channels do not divide into %d groups", key,
                          (long long)channels, n.groups);
    struct operation o = {.kind = OP_GROUP_NORM};
    o.group_norm = (struct group_norm){.groups = n.groups,
                                       .sources = count,
                                       .epsilon = n.epsilon,
                                       .scale_shift = n.scale_shift > 0,
                                       .silu = n.silu,
                                       .per_slice = n.dims == 2,
                                       .resampling = n.resampling,
                                       .resample_depth = n.dims == 3};
    tensor.shape = resampled(tensor.shape, n.resampling, n.dims == 3);
    o.output = tensor;
    layer_weight(b, KEY("%s.weight", key), 1, &channels, &o);
    layer_weight(b, KEY("%s.bias", key), 1, &channels, &o);
    int inputs[OPERATION_INPUTS];
    for (int i = 0; i < count; i++)
        inputs[i] = sources[i];
    if (n.scale_shift > 0)
        inputs[count++] = n.scale_shift;
    return layer_add(b, &o, inputs, count, key);
}

int layer_resample(struct builder *b, int x, int dims, enum resampling resampling)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_RESAMPLE, .output = graph_tensor(b->graph, x)};
    o.resample = (struct resample){.resampling = resampling, .resample_depth = dims == 3};
    o.output.shape = resampled(o.output.shape, resampling, dims == 3);
    return layer_add(b, &o, &x, 1, resampling == RESAMPLE_UP ? "upsampling" : "downsampling");
}

int layer_attention(struct builder *b, int qkv, int dims, int heads, float scale)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_ATTENTION, .output = graph_tensor(b->graph, qkv)};
    o.attention = (struct attention){heads, scale, dims == 2};
    o.output.shape.c /= 3;
    return layer_add(b, &o, &qkv, 1, "attention");
}

int layer_linear(struct builder *b, int x, const char *key, int64_t out, bool silu_input)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_LINEAR, .output = graph_tensor(b->graph, x)};
    const int64_t shape[2] = {out, o.output.shape.c};
    o.linear.silu_input = silu_input;
    o.output.shape.c = out;
    layer_weight(b, KEY("%s.weight", key), 2, shape, &o);
    layer_weight(b, KEY("%s.bias", key), 1, &out, &o);
    return layer_add(b, &o, &x, 1, key);
}

int layer_timestep_embedding(struct builder *b, int timesteps, int64_t width)
{
    if (b->failed)
        return -1;
    struct operation o = {
        .kind = OP_TIMESTEP_EMBEDDING,
        .output = {graph_tensor(b->graph, timesteps).shape, DTYPE_F32, CHANNELS_LAST}};
    o.output.shape.c = width;
    return layer_add(b, &o, &timesteps, 1, "timestep embedding");
}

int layer_quantize(struct builder *b, int z, const char *key, int64_t codes)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_QUANTIZE, .output = graph_tensor(b->graph, z)};
    layer_weight(b, key, 2, (const int64_t[]){codes, o.output.shape.c}, &o);
    return layer_add(b, &o, &z, 1, key);
}

int layer_pool(struct builder *b, int x, struct pool pool)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_POOL, .output = graph_tensor(b->graph, x)};
    o.pool = pool;
    o.output.shape.h = pool_extent(&pool, o.output.shape.h);
    o.output.shape.w = pool_extent(&pool, o.output.shape.w);
    return layer_add(b, &o, &x, 1, "pooling");
}

int layer_concatenate(struct builder *b, const int *maps, int count)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_CONCATENATE, .output = graph_tensor(b->graph, maps[0])};
    for (int i = 1; i < count; i++)
        o.output.shape.c += layer_channels(b, maps[i]);
    return layer_add(b, &o, maps, count, "concatenation");
}
