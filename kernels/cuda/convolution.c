#include "kernels/cuda/convolution_phases.h"

#include <stdlib.h>

struct convolution_state {
    struct convolution_direct direct; /* the convolution; made so where there is no plan */
    struct cudnn_plan *plan;
    struct convolution_phases *phases; /* instead of it; then the rest is not used */
    struct convolution_product product;
    int64_t residual_skip; /* bytes of the residual before the first that is read */
    size_t bias, alpha;    /* offsets in the prepared block, after the weights */
    size_t plan_workspace; /* offset in the workspace, after the gathered map */
    const char *prepared;
};

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
           o->output.shape.c >= CONVOLUTION_VECTOR && residual_skip(o) % CUDNN_MAP_ALIGNMENT == 0;
}

static const char *open_plan(struct convolution_state *s, const struct operation *o,
                             struct needs *needs)
{
    s->product = convolution_product(o);
    struct cudnn_convolution *of = &s->product.of;
    of->bias = true;
    of->residual = o->convolution.residual && !o->convolution.mix;
    const char *why = cudnn_plan_create(&s->plan, of, &cuda_device()->target);
    if (why)
        return why;
    cuda_reserve(&needs->prepared, of->out * of->c * convolution_taps(&o->convolution),
                 dtype_size(of->in_type));
    s->bias = cuda_reserve(&needs->prepared, of->out, dtype_size(of->out_type));
    struct tensor gathered = {s->product.gather.to, s->product.gather.dtype, CHANNELS_LAST};
    cuda_reserve(&needs->workspace, s->product.gathers ? tensor_bytes(gathered) : 0, 1);
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
    cuda_reserve(&needs->prepared,
                 columns * o->input[0].shape.c * convolution_taps(&o->convolution), sizeof(float));
    s->bias = cuda_reserve(&needs->prepared, columns, sizeof(float));
    needs->algorithm = "direct";
    return NULL;
}

/* The first of the ways that is there. */
static const char *open_way(struct convolution_state *s, const struct operation *o,
                            struct needs *needs)
{
    bool cudnn = suits_cudnn(o);
    const char *why = cudnn ? convolution_phases_create(&s->phases, o, needs) : NULL;
    if (why || s->phases)
        return why;
    if (!cudnn || open_plan(s, o, needs))
        why = open_direct(s, o, needs);
    s->alpha = cuda_reserve(&needs->prepared, 1, sizeof(float));
    needs->scratch = convolution_scratch(o);
    return why;
}

static void destroy(void *state)
{
    struct convolution_state *s = state;
    cudnn_plan_destroy(s->plan);
    convolution_phases_destroy(s->phases);
    free(s);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const struct convolution *c = &o->convolution;
    const char *why = check_convolution(o);
    if (!why && (c->relu || c->norm_epsilon > 0))
        why = "batch norm and ReLU within a convolution are the CPU's alone";
    struct convolution_state *s = why ? NULL : calloc(1, sizeof *s);
    if (!s)
        return why ? why : "out of memory";
    *needs = (struct needs){0};
    s->direct = (struct convolution_direct){o->convolution, o->input[0], o->output};
    why = open_way(s, o, needs);
    if (!why && (needs->prepared == SIZE_MAX || needs->workspace == SIZE_MAX))
        why = "the maps are too large";
    if (why) {
        destroy(s);
        return why;
    }
    s->residual_skip = residual_skip(o);
    /* cuDNN does not say that y may lie where the residual is. */
    *in_place = c->residual && !s->plan ? 1 : -1; /* phases have no residual */
    *state = s;
    return NULL;
}

/* The kernel of the direct way: (tap, channel, column). */
static const char *pack_columns(const struct operation *o, const float *alpha, char *prepared,
                                void *scratch)
{
    const struct convolution *c = &o->convolution;
    const struct weight *w = &o->weight[0];
    int64_t taps = convolution_taps(c), in = o->input[0].shape.c, row = w->shape[1] * taps;
    int64_t out = w->shape[c->transposed ? 1 : 0];
    int64_t out_step = c->transposed ? taps : row, in_step = c->transposed ? row : taps;
    struct pack pack = {
        .extent = {1, 1, taps, in, convolution_direct_columns(out)},
        .stride = {0, 0, 1, in_step, out_step},
        .limit = {1, 1, taps, in, out},
        .first = c->first_channel * in_step,
        .dtype = DTYPE_F32,
        .scale = alpha,
    };
    return cuda_pack(w, &pack, prepared, scratch);
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
    if (s->phases)
        return convolution_phases_prepare(s->phases, o, memory, scratch);
    float *alpha = (float *)(void *)(memory + s->alpha);
    s->prepared = memory;
    const char *why =
        cuda_error(cudaMemsetAsync(memory + s->bias, 0, s->alpha - s->bias, cuda_device()->stream));
    if (!why)
        why = convolution_pack_mix(o, alpha, scratch);
    if (!c->mix)
        alpha = NULL;
    if (!why && s->plan)
        why =
            convolution_pack_kernels(o, s->product.of.c, o->input[0].dtype, alpha, memory, scratch);
    else if (!why)
        why = pack_columns(o, alpha, memory, scratch);
    int64_t first = 0;
    for (int part = 0; part < c->parts && !why; part++) {
        why = pack_bias(s, o, part, first, memory, scratch);
        first += o->weight[2 * part].shape[c->transposed ? 1 : 0];
    }
    return why;
}

static const char *run_plan(const struct convolution_state *s, const void *input,
                            const void *residual, void *output, char *workspace)
{
    const char *why = NULL;
    if (s->product.gathers)
        why = convolution_gather(&s->product.gather, input, workspace);
    if (why)
        return why;
    return cudnn_plan_run(
        s->plan, cuda_device()->target.handle,
        &(struct cudnn_maps){
            .x = s->product.gathers ? workspace : (const char *)input + s->product.skip,
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
    if (s->phases)
        return convolution_phases_run(s->phases, inputs[0], output, workspace);
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
