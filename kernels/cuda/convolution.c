#include "kernels/cuda/convolution.h"

#include <stdlib.h>

/* Channels of a vector of 16 bytes of bf16, and the fewest for which tensor cores are used. */
enum { VECTOR = 8 };

struct convolution_state {
    struct convolution_direct direct; /* the convolution; made so where there is no plan */
    struct cudnn_plan *plan;
    struct convolution_gather gather;
    bool gathers;
    int64_t skip;          /* bytes of input before the first that is read */
    int64_t residual_skip; /* the same of the residual */
    size_t bias, alpha;    /* offsets in the prepared block, after the weights */
    size_t plan_workspace; /* offset in the workspace, after the gathered map */
    const char *prepared;
};

static int64_t *extent_of(struct shape *s, int axis)
{
    return axis == AXIS_D ? &s->d : axis == AXIS_H ? &s->h : &s->w;
}

/* The map that is multiplied, and the zeros around it. Replicated edges and slices that are left
 * out are in the map. */
static void set_map(struct convolution_state *s, const struct operation *o, int64_t *front,
                    int64_t *back)
{
    const struct convolution *c = &o->convolution;
    struct convolution_gather *g = &s->gather;
    g->in = g->to = o->input[0].shape;
    g->dtype = o->input[0].dtype;
    g->to.c = (g->in.c + VECTOR - 1) / VECTOR * VECTOR;
    s->gathers = g->to.c != g->in.c;
    for (int a = 0; a < AXES; a++) {
        bool replicate = c->padding == PADDING_REPLICATE;
        front[a] = replicate || c->pad_front[a] < 0 ? 0 : c->pad_front[a];
        back[a] = replicate || c->pad_back[a] < 0 ? 0 : c->pad_back[a];
        int64_t in_map = c->pad_front[a] + c->pad_back[a] - front[a] - back[a];
        g->front[a] = c->pad_front[a] - (int)front[a];
        g->upsampled[a] = c->upsampled[a];
        int64_t *extent = extent_of(&g->to, a);
        *extent = (*extent << c->upsampled[a]) + in_map;
        /* A map of one sample without its first and last slices needs no copy. */
        bool cut = a == AXIS_D && g->front[a] <= 0 && in_map <= g->front[a];
        s->gathers |= c->upsampled[a] || (!cut && (g->front[a] || in_map));
    }
    if (!s->gathers)
        s->skip = -g->front[AXIS_D] * (tensor_bytes(o->input[0]) / g->in.n / g->in.d);
}

static struct cudnn_convolution product_of(const struct operation *o,
                                           const struct convolution_gather *g, const int64_t *front,
                                           const int64_t *back)
{
    const struct convolution *c = &o->convolution;
    bool flat = c->kernel[AXIS_D] == 1 && c->stride[AXIS_D] == 1 && !front[AXIS_D] && !back[AXIS_D];
    struct cudnn_convolution product = {.dims = flat ? 2 : 3,
                                        .n = flat ? g->to.n * g->to.d : g->to.n,
                                        .c = g->to.c,
                                        .out = o->output.shape.c,
                                        .in_type = o->input[0].dtype,
                                        .out_type = o->output.dtype,
                                        .bias = true,
                                        .residual = c->residual && !c->mix};
    const int64_t extent[AXES] = {g->to.d, g->to.h, g->to.w};
    for (int a = flat ? AXIS_H : AXIS_D, i = 0; a < AXES; a++, i++) {
        product.extent[i] = extent[a];
        product.kernel[i] = c->kernel[a];
        product.stride[i] = c->stride[a];
        product.front[i] = front[a];
        product.back[i] = back[a];
    }
    return product;
}

static int64_t taps_of(const struct convolution *c)
{
    return (int64_t)c->kernel[AXIS_D] * c->kernel[AXIS_H] * c->kernel[AXIS_W];
}

/* Bytes of the residual before the first slice that is added. */
static int64_t residual_skip(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    return c->residual ? c->residual_slice * (tensor_bytes(o->input[1]) / o->input[1].shape.d) : 0;
}

/* Is the product of cuDNN's kind? Few outputs leave its tiles empty, none of its compiled engines
 * turns bf16 into f32, and its maps begin at whole vectors. */
static bool suits_cudnn(const struct operation *o)
{
    return !o->convolution.transposed && o->input[0].dtype == o->output.dtype &&
           o->output.shape.c >= VECTOR && residual_skip(o) % CUDNN_MAP_ALIGNMENT == 0;
}

static const char *open_plan(struct convolution_state *s, const struct operation *o,
                             struct needs *needs)
{
    int64_t front[AXES], back[AXES];
    set_map(s, o, front, back);
    struct cudnn_convolution product = product_of(o, &s->gather, front, back);
    const char *why = cudnn_plan_create(&s->plan, &product, &cuda_device()->target);
    if (why)
        return why;
    cuda_reserve(&needs->prepared, product.out * product.c * taps_of(&o->convolution),
                 dtype_size(product.in_type));
    s->bias = cuda_reserve(&needs->prepared, product.out, dtype_size(product.out_type));
    struct tensor gathered = {s->gather.to, s->gather.dtype, CHANNELS_LAST};
    cuda_reserve(&needs->workspace, s->gathers ? tensor_bytes(gathered) : 0, 1);
    s->plan_workspace = cuda_reserve(&needs->workspace, (int64_t)cudnn_plan_workspace(s->plan), 1);
    needs->algorithm = cudnn_plan_uses_tensor_cores(s->plan) ? "cuDNN, tensor cores" : "cuDNN";
    return NULL;
}

static const char *open_direct(struct convolution_state *s, const struct operation *o,
                               struct needs *needs)
{
    if (o->convolution.parts != 1)
        return "cuDNN has no engine for this convolution";
    int64_t columns = convolution_direct_columns(o->output.shape.c);
    cuda_reserve(&needs->prepared, columns * o->input[0].shape.c * taps_of(&o->convolution),
                 sizeof(float));
    s->bias = cuda_reserve(&needs->prepared, columns, sizeof(float));
    needs->algorithm = "direct";
    return NULL;
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const struct convolution *c = &o->convolution;
    const char *why = check_convolution(o);
    struct convolution_state *s = why ? NULL : calloc(1, sizeof *s);
    if (!s)
        return why ? why : "out of memory";
    *needs = (struct needs){0};
    s->direct = (struct convolution_direct){o->convolution, o->input[0], o->output};
    if (!suits_cudnn(o) || open_plan(s, o, needs))
        why = open_direct(s, o, needs);
    s->alpha = cuda_reserve(&needs->prepared, 1, sizeof(float));
    for (int i = 0; i < o->weights; i++)
        if (weight_bytes(&o->weight[i]) > (int64_t)needs->scratch)
            needs->scratch = (size_t)weight_bytes(&o->weight[i]);
    if (!why && (needs->prepared == SIZE_MAX || needs->workspace == SIZE_MAX))
        why = "the maps are too large";
    if (why) {
        cudnn_plan_destroy(s->plan);
        free(s);
        return why;
    }
    s->residual_skip = residual_skip(o);
    /* cuDNN does not say that y may lie where the residual is. */
    *in_place = c->residual && !s->plan ? 1 : -1;
    *state = s;
    return NULL;
}

static void destroy(void *state)
{
    cudnn_plan_destroy(((struct convolution_state *)state)->plan);
    free(state);
}

/* Part `part` of the kernels to its place among the outputs: (out, tap, channel) for cuDNN,
 * (tap, channel, out) else. */
static const char *pack_part(const struct convolution_state *s, const struct operation *o, int part,
                             int64_t first, char *prepared, void *scratch)
{
    const struct convolution *c = &o->convolution;
    const struct weight *w = &o->weight[2 * part];
    const float *alpha = c->mix ? (const float *)(void *)(prepared + s->alpha) : NULL;
    int64_t taps = taps_of(c), in = o->input[0].shape.c;
    int64_t out = w->shape[c->transposed ? 1 : 0];
    int64_t out_step = c->transposed ? taps : w->shape[1] * taps;
    int64_t in_step = c->transposed ? w->shape[1] * taps : taps;
    int64_t columns = convolution_direct_columns(out);
    struct pack pack = {.first = c->first_channel * in_step, .dtype = DTYPE_F32, .scale = alpha};
    const int64_t direct[3][PACK_AXES] = {
        {1, 1, taps, in, columns}, {0, 0, 1, in_step, out_step}, {1, 1, taps, in, out}};
    const int64_t plan[3][PACK_AXES] = {
        {1, 1, out, taps, s->gather.to.c}, {0, 0, out_step, 1, in_step}, {1, 1, out, taps, in}};
    for (int i = 0; i < PACK_AXES; i++) {
        pack.extent[i] = s->plan ? plan[0][i] : direct[0][i];
        pack.stride[i] = s->plan ? plan[1][i] : direct[1][i];
        pack.limit[i] = s->plan ? plan[2][i] : direct[2][i];
    }
    if (s->plan)
        pack.dtype = o->input[0].dtype;
    int64_t to = first * taps * s->gather.to.c * dtype_size(pack.dtype);
    return cuda_pack(w, &pack, prepared + to, scratch);
}

static const char *pack_bias(const struct convolution_state *s, const struct operation *o, int part,
                             int64_t first, char *prepared, void *scratch)
{
    enum dtype dtype = s->plan ? o->output.dtype : DTYPE_F32;
    const float *alpha = o->convolution.mix ? (const float *)(void *)(prepared + s->alpha) : NULL;
    const struct weight *bias = &o->weight[2 * part + 1];
    if (!bias->rank)
        return NULL;
    return cuda_pack_vector(bias, bias->shape[0], dtype, alpha,
                            prepared + s->bias + first * dtype_size(dtype), scratch);
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct convolution_state *s = state;
    const struct convolution *c = &o->convolution;
    char *memory = prepared;
    float *alpha = (float *)(void *)(memory + s->alpha);
    s->prepared = memory;
    const char *why =
        cuda_error(cudaMemsetAsync(memory + s->bias, 0, s->alpha - s->bias, cuda_device()->stream));
    if (!why && c->mix)
        why = cuda_pack_vector(&o->weight[2], 1, DTYPE_F32, NULL, alpha, scratch);
    if (!why && c->mix)
        why = convolution_alpha(alpha, alpha);
    int64_t first = 0;
    for (int part = 0; part < c->parts && !why; part++) {
        why = pack_part(s, o, part, first, memory, scratch);
        if (!why)
            why = pack_bias(s, o, part, first, memory, scratch);
        first += o->weight[2 * part].shape[c->transposed ? 1 : 0];
    }
    return why;
}

static const char *run_plan(const struct convolution_state *s, const void *input,
                            const void *residual, void *output, char *workspace)
{
    const char *why = NULL;
    if (s->gathers)
        why = convolution_gather(&s->gather, input, workspace);
    if (why)
        return why;
    return cudnn_plan_run(s->plan, cuda_device()->target.handle,
                          &(struct cudnn_maps){
                              .x = s->gathers ? workspace : (const char *)input + s->skip,
                              .weights = s->prepared,
                              .bias = s->prepared + s->bias,
                              .residual = residual,
                              .y = output,
                          },
                          workspace + s->plan_workspace);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_state *s = state;
    const struct convolution *c = &s->direct.attributes;
    const float *alpha = c->mix ? (const void *)(s->prepared + s->alpha) : NULL;
    const void *residual = c->residual ? (const char *)inputs[1] + s->residual_skip : NULL;
    if (!s->plan)
        return convolution_direct(&s->direct, inputs[0], (const void *)s->prepared,
                                  (const void *)(s->prepared + s->bias), alpha, residual, output);
    const char *why = run_plan(s, inputs[0], residual, output, workspace);
    if (!why && c->mix)
        why = convolution_finish(alpha, residual, output, shape_count(s->direct.out.shape),
                                 s->direct.out.dtype);
    return why;
}

const struct kernel cuda_convolution = {create, prepare, run, destroy};
