/* OP_CONVOLUTION_DATA and OP_CONVOLUTION_WEIGHTS by cuDNN, on the maps that the convolution itself
 * multiplies; dy is filled up to whole vectors of channels.
 *
 * From bf16 maps cuDNN has no engine that writes a kernel's gradient in f32: its sums are f32, then
 * rounded to bf16, and added to those of other batches in f32. The rounding moves an element by
 * 2^-9 of itself at most, so the whole gradient, in any norm, by 2^-9 of the sum of the batches',
 * and nothing gets lost by being small beside what is there, as it would in a sum kept in bf16. It
 * is no more than the operands carry: each product x·dy is off by up to 2·2^-9 of itself, so that a
 * sum of products of random signs is off by √2 times what rounding it adds. m and √v of AdamW take
 * over the 2^-9, a step at most 2^-8 of itself. */
#include "kernels/cuda/convolution_gradient.h"

#include <stdlib.h>

enum {
    SHARE_POSITIONS = 1024,  /* of a part of the plain sums of a kernel, at least */
    SHARES = 256,            /* at most */
    SHARES_FLOATS = 8 << 20, /* of all parts, at most */
};

struct gradient_state {
    struct operation forward;
    struct cudnn_plan *plan; /* NULL: plain sums */
    struct convolution_product product;
    struct convolution_gather fill; /* dy to whole vectors of channels, */
    bool fills, added;              /* where it has not got these */
    bool kernels, biases;           /* wanted */
    struct tensor sums;             /* of the kernels' gradients: (part, 1, out, tap, columns) */
    size_t alpha;                   /* in the prepared block, after the kernels */
    /* In the workspace: the map of x's side, dy, the sums, cuDNN's own. */
    size_t dy, sums_at, bias_sums, plan_workspace;
    const char *prepared;
};

static void destroy(void *state)
{
    struct gradient_state *s = state;
    cudnn_plan_destroy(s->plan);
    free(s);
}

static bool suits_cudnn(const struct operation *forward)
{
    return !forward->convolution.transposed && forward->input[0].dtype == forward->output.dtype;
}

static void open_plan(struct gradient_state *s, enum cudnn_product makes)
{
    struct shape y = s->forward.output.shape;
    if (!suits_cudnn(&s->forward))
        return;
    s->product = convolution_product(&s->forward);
    s->fill = (struct convolution_gather){.in = y, .to = y, .dtype = s->forward.output.dtype};
    s->fill.to.c = (y.c + CONVOLUTION_VECTOR - 1) / CONVOLUTION_VECTOR * CONVOLUTION_VECTOR;
    s->fills = s->fill.to.c != y.c;
    s->product.of.out = s->fill.to.c;
    s->product.of.makes = makes;
    cudnn_plan_create(&s->plan, &s->product.of, &cuda_device()->target);
}

/* Is there a map of x's side in the workspace? */
static bool has_map(const struct gradient_state *s)
{
    bool data = s->product.of.makes == CUDNN_MAKES_DX;
    return s->product.gathers || (data && (s->product.skip || s->added));
}

static const char *reserve(struct gradient_state *s, struct needs *needs)
{
    struct tensor map = {s->product.gather.to, s->product.gather.dtype, CHANNELS_LAST};
    struct tensor y = {s->fill.to, s->fill.dtype, CHANNELS_LAST};
    bool data = s->forward.kind == OP_CONVOLUTION_DATA;
    cuda_reserve(&needs->workspace, s->plan && has_map(s) ? tensor_bytes(map) : 0, 1);
    s->dy = cuda_reserve(&needs->workspace, s->plan && s->fills ? tensor_bytes(y) : 0, 1);
    s->sums_at = cuda_reserve(&needs->workspace, s->kernels ? tensor_bytes(s->sums) : 0, 1);
    s->bias_sums = cuda_reserve(&needs->workspace,
                                s->biases ? convolution_bias_sums(s->forward.output.shape) : 0,
                                sizeof(double));
    s->plan_workspace =
        cuda_reserve(&needs->workspace, s->plan ? (int64_t)cudnn_plan_workspace(s->plan) : 0, 1);
    cuda_reserve(&needs->prepared, data ? tensor_bytes(s->sums) : 0, 1);
    s->alpha = cuda_reserve(&needs->prepared, 1, sizeof(float));
    needs->scratch = convolution_scratch(&s->forward);
    needs->algorithm = !s->plan                                ? "direct"
                       : cudnn_plan_uses_tensor_cores(s->plan) ? "cuDNN, tensor cores"
                                                               : "cuDNN";
    return needs->workspace == SIZE_MAX || needs->prepared == SIZE_MAX ? "the maps are too large"
                                                                       : NULL;
}

/* The shape of a kernel as it is multiplied, `parts` times. */
static struct tensor kernels_of(const struct gradient_state *s, int64_t parts)
{
    const struct operation *f = &s->forward;
    int64_t out = s->plan ? s->fill.to.c : f->output.shape.c;
    int64_t columns = s->plan ? s->product.gather.to.c : f->input[0].shape.c;
    return (struct tensor){{parts, 1, out, convolution_taps(&f->convolution), columns},
                           s->plan ? f->input[0].dtype : DTYPE_F32,
                           CHANNELS_LAST};
}

static const char *create(const struct operation *o, struct operation forward,
                          enum cudnn_product makes, void **state, struct needs *needs)
{
    struct gradient_state *s = calloc(1, sizeof *s);
    if (!s)
        return "out of memory";
    *needs = (struct needs){0};
    s->forward = forward;
    s->forward.kind = o->kind;
    s->added = makes == CUDNN_MAKES_DX && o->inputs == 2;
    open_plan(s, makes);
    s->sums = kernels_of(s, 1);
    for (int i = 0; makes == CUDNN_MAKES_DW && i < o->convolution.parts; i++) {
        s->kernels |= o->gradient[2 * i] != NULL;
        s->biases |= o->gradient[2 * i + 1] != NULL;
    }
    if (makes == CUDNN_MAKES_DW && !s->plan) {
        int64_t positions = shape_count(forward.output.shape) / forward.output.shape.c;
        int64_t parts = positions / SHARE_POSITIONS, most = SHARES_FLOATS;
        most /= shape_count(s->sums.shape);
        parts = parts > most ? most : parts;
        s->sums = kernels_of(s, parts > SHARES ? SHARES : parts > 1 ? parts : 1);
    }
    const char *why = reserve(s, needs);
    if (why) {
        destroy(s);
        return why;
    }
    *state = s;
    return NULL;
}

static const float *mix_of(const struct gradient_state *s)
{
    return s->forward.convolution.mix ? (const void *)(s->prepared + s->alpha) : NULL;
}

/* dy as the plan reads it. */
static const char *fill_dy(const struct gradient_state *s, const void *dy, char *workspace,
                           const void **filled)
{
    *filled = s->fills ? workspace + s->dy : dy;
    return s->fills ? convolution_gather(&s->fill, dy, workspace + s->dy) : NULL;
}

static const char *data_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    const char *why = check_convolution_data(o);
    *in_place = o->inputs == 2 ? 1 : -1;
    return why ? why
               : create(o, convolution_forward(o, o->output, o->input[0]), CUDNN_MAKES_DX, state,
                        needs);
}

static const char *data_prepare(void *state, const struct operation *o, void *prepared,
                                void *scratch)
{
    struct gradient_state *s = state;
    struct operation forward = convolution_forward(o, o->output, o->input[0]);
    char *memory = prepared;
    float *alpha = (float *)(void *)(memory + s->alpha);
    const char *why = convolution_pack_mix(&forward, alpha, scratch);
    s->prepared = memory;
    if (!why && s->fills) /* outputs that are there to fill vectors */
        why = cuda_error(cudaMemsetAsync(memory, 0, s->alpha, cuda_device()->stream));
    return why ? why
               : convolution_pack_kernels(&forward, s->sums.shape.c, s->sums.dtype, mix_of(s),
                                          memory, scratch);
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct gradient_state *s = state;
    const void *added = s->added ? inputs[1] : NULL, *dy;
    bool map = s->plan && has_map(s);
    if (!s->plan)
        return convolution_direct_data(&s->forward, (const void *)s->prepared, inputs[0], added,
                                       output);
    const char *why = fill_dy(s, inputs[0], workspace, &dy);
    if (!why)
        why = cudnn_plan_run(s->plan, cuda_device()->target.handle,
                             &(struct cudnn_maps){
                                 .x = map ? workspace : output,
                                 .weights = s->prepared,
                                 .y = (void *)(uintptr_t)dy,
                             },
                             (char *)workspace + s->plan_workspace);
    bool replicated = s->forward.convolution.padding == PADDING_REPLICATE;
    return why || !map
               ? why
               : convolution_spread(&s->product.gather, replicated, workspace, added, output);
}

static const char *weights_create(const struct operation *o, void **state, struct needs *needs,
                                  int *in_place)
{
    const char *why = check_convolution_weights(o);
    *in_place = -1;
    return why ? why
               : create(o, convolution_forward(o, o->input[0], o->input[1]), CUDNN_MAKES_DW, state,
                        needs);
}

static const char *weights_prepare(void *state, const struct operation *o, void *prepared,
                                   void *scratch)
{
    struct gradient_state *s = state;
    struct operation forward = convolution_forward(o, o->input[0], o->input[1]);
    s->prepared = prepared;
    return convolution_pack_mix(&forward, (float *)(void *)((char *)prepared + s->alpha), scratch);
}

static const char *make_sums(const struct gradient_state *s, const void *x, const void *dy,
                             char *workspace)
{
    const void *filled;
    if (!s->plan)
        return convolution_direct_weights(&s->forward, x, dy, s->sums.shape.n,
                                          (float *)(void *)(workspace + s->sums_at));
    const char *why = fill_dy(s, dy, workspace, &filled);
    if (!why && s->product.gathers)
        why = convolution_gather(&s->product.gather, x, workspace);
    return why ? why
               : cudnn_plan_run(
                     s->plan, cuda_device()->target.handle,
                     &(struct cudnn_maps){
                         .x = s->product.gathers ? workspace : (const char *)x + s->product.skip,
                         .weights = workspace + s->sums_at,
                         .y = (void *)(uintptr_t)filled,
                     },
                     workspace + s->plan_workspace);
}

static const char *weights_run(void *state, const void *const *inputs, void *output,
                               void *workspace)
{
    const struct gradient_state *s = state;
    char *memory = workspace;
    const char *why = cuda_error(cudaMemsetAsync(output, 0, sizeof(float), cuda_device()->stream));
    if (!why && s->kernels)
        why = make_sums(s, inputs[0], inputs[1], memory);
    if (!why && s->kernels)
        why = convolution_add_weights(&s->forward, s->sums, memory + s->sums_at, mix_of(s));
    if (!why && s->biases)
        why = convolution_add_bias(&s->forward, inputs[1], mix_of(s),
                                   (double *)(void *)(memory + s->bias_sums));
    return why;
}

const struct kernel cuda_convolution_data = {data_create, data_prepare, data_run, destroy};
const struct kernel cuda_convolution_weights = {weights_create, weights_prepare, weights_run,
                                                destroy};
