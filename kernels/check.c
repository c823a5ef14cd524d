#include "kernels/check.h"

static bool has_elements(const struct tensor *t)
{
    struct shape s = t->shape;
    return s.n > 0 && s.d > 0 && s.h > 0 && s.w > 0 && s.c > 0;
}

bool tensor_is_activation(const struct tensor *t)
{
    return t->layout == CHANNELS_LAST && has_elements(t) &&
           (t->dtype == DTYPE_F32 || t->dtype == DTYPE_BF16);
}

bool tensor_is_f32(const struct tensor *t)
{
    return tensor_is_activation(t) && t->dtype == DTYPE_F32;
}

bool tensor_same_map(const struct tensor *a, const struct tensor *b)
{
    return a->shape.n == b->shape.n && a->shape.d == b->shape.d && a->shape.h == b->shape.h &&
           a->shape.w == b->shape.w;
}

bool weight_is_vector(const struct weight *w, int64_t count)
{
    return w->rank == 1 && w->shape[0] == count;
}

static bool is_slice_major(const struct tensor *t)
{
    return t->layout == SLICE_MAJOR && has_elements(t);
}

const char *check_to_channels_last(const struct operation *o)
{
    if (!tensor_is_activation(&o->output))
        return "the output must be channels-last f32 or bf16";
    if (o->inputs < 1 || o->inputs > OPERATION_INPUTS)
        return "one to four inputs are needed";
    int64_t c = 0;
    for (int i = 0; i < o->inputs; i++) {
        const struct tensor *t = &o->input[i];
        if (!is_slice_major(t) || (t->dtype != DTYPE_F32 && t->dtype != DTYPE_U8))
            return "inputs must be slice-major f32 or u8";
        if (!tensor_same_map(t, &o->output))
            return "inputs and output differ in n, d, h or w";
        c += t->shape.c;
    }
    return c == o->output.shape.c ? NULL : "the inputs' channels do not add up to the output's";
}

const char *check_to_slice_major(const struct operation *o)
{
    if (o->inputs != 1 || !tensor_is_activation(&o->input[0]))
        return "one channels-last f32 or bf16 input is needed";
    if (!is_slice_major(&o->output) || o->output.dtype != DTYPE_F32)
        return "the output must be slice-major f32";
    if (!tensor_same_map(&o->input[0], &o->output) || o->to_slice_major.first_channel < 0 ||
        o->to_slice_major.first_channel > o->input[0].shape.c - o->output.shape.c)
        return "input and output differ in shape";
    return NULL;
}

const char *check_cast(const struct operation *o)
{
    if (!tensor_is_activation(&o->input[0]) || !tensor_is_activation(&o->output) ||
        o->input[0].dtype == o->output.dtype ||
        shape_count(o->input[0].shape) != shape_count(o->output.shape))
        return "a cast is between f32 and bf16 maps of one shape";
    return NULL;
}

static int64_t extent_of(struct shape s, int axis)
{
    return axis == AXIS_D ? s.d : axis == AXIS_H ? s.h : s.w;
}

static const char *check_kernels(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    int64_t out = 0;
    if (c->parts < 1 || 2 * c->parts > OPERATION_WEIGHTS)
        return "a convolution has one to three kernels";
    for (int part = 0; part < c->parts; part++) {
        const struct weight *w = &o->weight[2 * part];
        out += w->shape[c->transposed ? 1 : 0];
        if (c->first_channel + o->input[0].shape.c > w->shape[c->transposed ? 0 : 1])
            return "the kernel has fewer channels than the input";
    }
    for (int i = 2; c->norm_epsilon > 0 && i < OPERATION_WEIGHTS; i++)
        if (o->weights != OPERATION_WEIGHTS || !weight_is_vector(&o->weight[i], out))
            return "a batch norm has four vectors of the output's channels";
    return out == o->output.shape.c ? NULL : "the kernels do not make the output's channels";
}

/* Slices may be left out, at the ends of the output and of the residual, of one sample only. */
static const char *check_slices(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    struct tensor residual = o->input[1];
    int64_t first = c->residual_slice;
    if (o->output.shape.n > 1 && (c->pad_front[AXIS_D] < 0 || c->pad_back[AXIS_D] < 0))
        return "slices are left out of several samples";
    if (!c->residual)
        return NULL;
    bool inside = first >= 0 && first + o->output.shape.d <= residual.shape.d;
    if (inside && o->output.shape.n == 1)
        residual.shape.d = o->output.shape.d;
    if (!inside || residual.dtype != o->output.dtype || !tensor_same_map(&residual, &o->output) ||
        residual.shape.c != o->output.shape.c)
        return "the residual is not like the output";
    return NULL;
}

const char *check_convolution(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    if (!tensor_is_activation(&o->input[0]) || !tensor_is_activation(&o->output) ||
        (o->input[0].dtype == DTYPE_F32 && o->output.dtype != DTYPE_F32))
        return "a convolution is of f32 to f32, or bf16 to bf16 or f32";
    if (c->mix && (!c->residual || c->parts != 1))
        return "a mix needs a residual and one kernel";
    if (c->norm_epsilon > 0 && (c->mix || c->transposed || c->parts != 1))
        return "a batch norm follows one kernel, neither transposed nor mixed";
    for (int a = 0; a < AXES; a++) {
        if (c->transposed && c->upsampled[a])
            return "a transposed convolution takes its input as it is";
        if (c->transposed && c->crop[a] < c->kernel[a] - c->stride[a])
            return "a transposed convolution needs crop ≥ kernel − stride";
        if (extent_of(o->output.shape, a) !=
            convolution_extent(c, a, extent_of(o->input[0].shape, a)))
            return "the output's extents do not follow from the input's";
    }
    const char *why = check_slices(o);
    return why ? why : check_kernels(o);
}

static bool is_plain(const struct convolution *c)
{
    return !c->transposed && !c->upsampled[AXIS_D] && !c->residual && !c->mix && !c->relu &&
           !(c->norm_epsilon > 0) && c->parts == 1 && c->first_channel == 0;
}

/* The graph checks the maps it knows; the map between is none of them. */
static bool is_countable(const struct tensor *t)
{
    const int64_t extent[] = {t->shape.n, t->shape.d, t->shape.h, t->shape.w, t->shape.c};
    int64_t bytes = dtype_size(t->dtype);
    for (int i = 0; i < 5; i++)
        if (extent[i] < 1 || __builtin_mul_overflow(bytes, extent[i], &bytes))
            return false;
    return true;
}

struct operation convolution_half(const struct operation *o, int half)
{
    struct operation h = {.kind = OP_CONVOLUTION, .inputs = 1, .weights = 2};
    struct tensor between = o->input[0];
    between.shape.d = convolution_extent(&o->pair[0], AXIS_D, between.shape.d);
    between.shape.h = convolution_extent(&o->pair[0], AXIS_H, between.shape.h);
    between.shape.w = convolution_extent(&o->pair[0], AXIS_W, between.shape.w);
    between.shape.c = o->weight[0].shape[0];
    h.input[0] = half ? between : o->input[0];
    h.output = half ? o->output : between;
    h.weight[0] = o->weight[2 * half];
    h.weight[1] = o->weight[2 * half + 1];
    h.convolution = o->pair[half];
    return h;
}

const char *check_convolution_pair(const struct operation *o)
{
    if (o->inputs != 1 || o->weights != 4 || !is_plain(&o->pair[0]) || !is_plain(&o->pair[1]))
        return "a pair is of two plain convolutions";
    if (!tensor_is_activation(&o->input[0]) || o->input[0].shape.n != o->output.shape.n)
        return "a pair takes and makes channels-last f32 or bf16 maps of as many samples";
    for (int half = 0; half < 2; half++) {
        struct operation h = convolution_half(o, half);
        if (!is_countable(&h.input[0]) || !is_countable(&h.output))
            return "the map between is empty or too large";
        const char *why = check_convolution(&h);
        if (why)
            return why;
    }
    return NULL;
}

static const char *check_scale_shift(const struct operation *o, int64_t c)
{
    const struct tensor *t = &o->input[o->group_norm.sources];
    struct shape s = t->shape;
    if (!tensor_is_f32(t) || s.d * s.h * s.w != 1 || s.c != 2 * c ||
        (s.n != 1 && s.n != o->input[0].shape.n))
        return "scale and shift must be f32 (n or 1, 1, 1, 1, 2c)";
    return NULL;
}

const char *check_group_norm(const struct operation *o)
{
    const struct group_norm *g = &o->group_norm;
    if (g->sources < 1 || g->sources > GROUP_NORM_SOURCES ||
        o->inputs != g->sources + g->scale_shift)
        return "a group norm reads one or two maps, and a scale and shift where it says so";
    int64_t c = 0;
    for (int i = 0; i < g->sources; i++) {
        if (!tensor_is_activation(&o->input[i]) || o->input[i].dtype != o->output.dtype)
            return "inputs and output must be channels-last, all f32 or all bf16";
        if (!tensor_same_map(&o->input[i], &o->input[0]))
            return "the sources differ in n, d, h or w";
        c += o->input[i].shape.c;
    }
    if (!tensor_is_activation(&o->output) || o->output.shape.c != c)
        return "the sources' channels do not add up to the output's";
    if (g->groups < 1 || c % g->groups)
        return "the groups do not divide the channels";
    if (o->weights != 2 || !weight_is_vector(&o->weight[0], c) ||
        !weight_is_vector(&o->weight[1], c))
        return "weight and bias are not (c)";
    if (g->scale_shift && check_scale_shift(o, c))
        return check_scale_shift(o, c);
    if (g->resampling == RESAMPLE_NONE && !tensor_same_map(&o->input[0], &o->output))
        return "input and output differ in n, d, h or w";
    if (g->per_batch && (g->per_slice || g->scale_shift))
        return "a norm over the batch has no slices and no scale and shift of samples";
    if (g->per_slice && g->resampling != RESAMPLE_NONE && g->resample_depth)
        return "a norm of single slices cannot resample the depth";
    return NULL;
}

const char *check_resampling(const struct tensor *in, const struct tensor *out,
                             enum resampling resampling, bool depth)
{
    struct shape from = in->shape, to = out->shape;
    bool up = resampling == RESAMPLE_UP;
    if (!up && (from.h % 2 || from.w % 2 || (depth && from.d % 2)))
        return "an odd extent cannot be halved";
    /* Seen from the smaller map, both ways are the same. */
    struct shape small = up ? from : to, large = up ? to : from;
    if (large.n != small.n || large.c != small.c || large.h != 2 * small.h ||
        large.w != 2 * small.w || large.d != (depth ? 2 : 1) * small.d)
        return "input and output do not differ by a factor of 2";
    return NULL;
}

const char *check_resample(const struct operation *o)
{
    if (o->inputs != 1 || !tensor_is_activation(&o->input[0]) ||
        !tensor_is_activation(&o->output) || o->input[0].dtype != o->output.dtype)
        return "input and output must be channels-last, both f32 or both bf16";
    if (o->resample.resampling == RESAMPLE_NONE)
        return "a resampling without direction";
    return check_resampling(&o->input[0], &o->output, o->resample.resampling,
                            o->resample.resample_depth);
}

const char *check_attention(const struct operation *o)
{
    const struct attention *a = &o->attention;
    if (o->inputs != 1 || !tensor_is_activation(&o->input[0]) || !tensor_is_activation(&o->output))
        return "input and output must be channels-last f32 or bf16";
    if (a->heads < 1 || o->output.shape.c % a->heads ||
        o->input[0].shape.c != 3 * o->output.shape.c || !tensor_same_map(&o->input[0], &o->output))
        return "channels must be 3·heads·width in, heads·width out";
    return NULL;
}

const char *check_linear(const struct operation *o)
{
    const struct shape *in = &o->input[0].shape, *out = &o->output.shape;
    const struct weight *w = &o->weight[0];
    if (o->inputs != 1 || !tensor_is_f32(&o->input[0]) || !tensor_is_f32(&o->output))
        return "input and output must be channels-last f32";
    if (!tensor_same_map(&o->input[0], &o->output))
        return "input and output differ in n, d, h or w";
    if (o->weights < 1 || w->rank < 2 || w->shape[0] != out->c || w->shape[1] != in->c)
        return "the matrix is not (out, in)";
    for (int i = 2; i < w->rank; i++)
        if (w->shape[i] != 1)
            return "the matrix is not (out, in)";
    if (o->weights > 1 && o->weight[1].rank && !weight_is_vector(&o->weight[1], out->c))
        return "the bias is not (out)";
    return NULL;
}

const char *check_timestep_embedding(const struct operation *o)
{
    const struct shape *in = &o->input[0].shape, *out = &o->output.shape;
    if (o->inputs != 1 || !tensor_is_f32(&o->input[0]) || !tensor_is_f32(&o->output))
        return "timesteps and embedding must be channels-last f32";
    if (in->d * in->h * in->w * in->c != 1 || out->d * out->h * out->w != 1 || in->n != out->n)
        return "timesteps must be (n,1,1,1,1) and embeddings (n,1,1,1,c)";
    if (out->c < 2)
        return "an embedding needs at least 2 channels";
    return NULL;
}

const char *check_quantize(const struct operation *o)
{
    const struct shape *in = &o->input[0].shape;
    const struct weight *w = &o->weight[0];
    if (o->inputs != 1 || !tensor_is_f32(&o->input[0]) || !tensor_is_f32(&o->output))
        return "input and output must be channels-last f32";
    if (!tensor_same_map(&o->input[0], &o->output) || in->c != o->output.shape.c)
        return "input and output differ in shape";
    if (o->weights != 1 || w->rank != 2 || w->shape[1] != in->c)
        return "the codebook is not (codes, c)";
    if (w->shape[0] < 1 || w->shape[0] > QUANTIZE_CODES)
        return "the codebook has no codes or too many";
    return NULL;
}

const char *check_pool(const struct operation *o)
{
    const struct pool *p = &o->pool;
    struct shape in = o->input[0].shape, out = o->output.shape;
    if (o->inputs != 1 || !tensor_is_f32(&o->input[0]) || !tensor_is_f32(&o->output))
        return "pooled maps are channels-last f32";
    if (p->size < 1 || p->stride < 1 || p->pad < 0 || p->pad >= p->size)
        return "a window, its step and its padding do not fit together";
    if (in.h + 2 * p->pad < p->size || in.w + 2 * p->pad < p->size)
        return "the map is smaller than the window";
    if (in.n != out.n || in.d != out.d || in.c != out.c || out.h != pool_extent(p, in.h) ||
        out.w != pool_extent(p, in.w))
        return "the pooled map does not follow from the map";
    return NULL;
}

const char *check_concatenate(const struct operation *o)
{
    int64_t c = 0;
    if (o->inputs < 1 || !tensor_is_activation(&o->output))
        return "maps must be channels-last f32 or bf16";
    for (int i = 0; i < o->inputs; i++) {
        const struct tensor *t = &o->input[i];
        if (!tensor_is_activation(t) || t->dtype != o->output.dtype ||
            !tensor_same_map(t, &o->output))
            return "the maps differ in more than their channels";
        c += t->shape.c;
    }
    return c == o->output.shape.c ? NULL : "the maps' channels do not add up to the output's";
}
