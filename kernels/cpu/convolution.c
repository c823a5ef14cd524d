#include "kernels/cpu/convolution.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* A gathered slab stays near this size: small beside the maps, large beside a call's overhead. */
static const int64_t slab_bytes = 32 << 20;

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int64_t extent_of(struct shape s, int axis)
{
    return axis == AXIS_D ? s.d : axis == AXIS_H ? s.h : s.w;
}

static const char *check(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    int64_t out = 0;
    for (int part = 0; part < c->parts; part++)
        out += o->weight[2 * part].shape[c->transposed ? 1 : 0];
    if (c->parts < 1 || out != o->output.shape.c)
        return "the kernels do not make the output's channels";
    if (c->first_channel + o->input[0].shape.c > o->weight[0].shape[c->transposed ? 0 : 1])
        return "the kernel has fewer channels than the input";
    if (c->residual && o->input[1].dtype != o->output.dtype)
        return "the residual is of another type than the sum";
    if (c->mix && (!c->residual || c->parts != 1))
        return "a mix needs a residual and one kernel";
    if (c->transposed && (c->stride[AXIS_H] != 1 || c->stride[AXIS_W] != 1 ||
                          c->stride[AXIS_D] > CONVOLUTION_PHASES))
        return "a transposed convolution stretches the depth only";
    for (int a = 0; a < AXES; a++)
        if (c->transposed && c->crop[a] < c->kernel[a] - c->stride[a])
            return "a transposed convolution needs crop ≥ kernel − stride";
    return NULL;
}

/* The dense convolution that a plain one becomes. */
static void shape_plain(struct convolution_state *s)
{
    const struct convolution *c = &s->operation.convolution;
    s->phases = 1;
    for (int a = 0; a < AXES; a++) {
        bool blocks = s->gathered && c->stride[a] > 1 && c->kernel[a] % c->stride[a] == 0;
        s->factor[a] = blocks ? c->stride[a] : 1;
        s->taps[a] = c->kernel[a] / s->factor[a];
        s->step[a] = c->stride[a] / s->factor[a];
        s->gathered_extent[a] =
            (extent_of(s->operation.output.shape, a) - 1) * s->step[a] + s->taps[a];
    }
}

/* Phase r of a transposed convolution makes output positions stride·m + r. Such a position sees
 * kernel indices k ≡ r + crop (mod stride), smallest k0, at padded input m + (r+crop−k0)/stride − j
 * for k = k0 + j·stride: a correlation with the taps in reverse. */
static void shape_transposed(struct convolution_state *s)
{
    const struct convolution *c = &s->operation.convolution;
    s->phases = c->stride[AXIS_D];
    for (int a = 0; a < AXES; a++) {
        s->factor[a] = 1;
        s->step[a] = 1;
        s->taps[a] = (c->kernel[a] + c->stride[a] - 1) / c->stride[a];
        s->gathered_extent[a] = extent_of(s->operation.output.shape, a) - 1 + s->taps[a];
        for (int r = 0; r < s->phases; r++) {
            int position = (a == AXIS_D ? r : 0) + c->crop[a];
            int first = position % c->stride[a];
            s->start[r][a] = (position - first) / c->stride[a] - (s->taps[a] - 1);
            if (a == AXIS_D)
                s->shift[r] = first;
        }
    }
}

/* Describe the dense convolution that makes `rows` output slices; rows 0: the whole map. */
static struct onednn_shape describe(const struct convolution_state *s, int64_t rows)
{
    const struct operation *o = &s->operation;
    struct shape in = o->input[0].shape, out = o->output.shape;
    struct onednn_shape shape = {
        .axes = s->axes,
        .batch = rows           ? 1
                 : s->axes == 2 ? in.n * in.d
                                : in.n,
        .in_channels = convolution_channels(s),
        .out_channels = out.c,
        .in_dtype = o->input[0].dtype,
        .out_dtype = o->output.dtype,
        .accumulate = o->convolution.residual,
        .accumulate_scale = s->beta,
    };
    for (int a = 0; a < AXES; a++) {
        shape.in[a] = rows ? s->gathered_extent[a] : extent_of(in, a);
        shape.out[a] = extent_of(out, a);
        shape.kernel[a] = s->taps[a];
        shape.stride[a] = s->step[a];
        shape.pad_front[a] = rows ? 0 : o->convolution.pad_front[a];
        shape.pad_back[a] = rows ? 0 : o->convolution.pad_back[a];
    }
    if (rows) {
        shape.in[AXIS_D] = convolution_depth(s, rows);
        shape.out[AXIS_D] = rows;
    }
    return shape;
}

/* Make a piece and place its weights; a piece packed like `twin` shares the twin's. */
static const char *make_piece(struct convolution_state *s, struct convolution_piece *piece,
                              int64_t rows, const struct convolution_piece *twin,
                              struct needs *needs)
{
    struct onednn_shape shape = describe(s, rows);
    const char *why = onednn_convolution_create(&piece->convolution, &shape);
    if (why)
        return why;
    piece->rows = rows;
    size_t workspace = onednn_workspace_bytes(piece->convolution);
    if (workspace > needs->workspace)
        needs->workspace = workspace;
    if (twin && onednn_same_packing(piece->convolution, twin->convolution)) {
        piece->weights = twin->weights;
        return NULL;
    }
    piece->weights = needs->prepared;
    needs->prepared += aligned(onednn_weight_bytes(piece->convolution));
    return NULL;
}

/* Output slices phase + k·phases, k = 0, 1, … that a phase makes. */
static int64_t phase_slices(const struct convolution_state *s, int phase)
{
    return (s->operation.output.shape.d - phase + s->phases - 1) / s->phases;
}

static const char *make_slabs(struct convolution_state *s, struct needs *needs)
{
    int64_t slices = phase_slices(s, 0);
    int64_t slice_bytes = s->gathered_extent[AXIS_H] * s->gathered_extent[AXIS_W] *
                          convolution_channels(s) * dtype_size(s->operation.input[0].dtype);
    int64_t rows = 1;
    /* The interleaved output slices of a stretched depth are not adjacent: one at a time. */
    if (s->phases == 1)
        while (rows < slices && convolution_depth(s, rows + 1) * slice_bytes <= slab_bytes)
            rows++;
    for (int phase = 0; phase < s->phases; phase++) {
        const char *why = make_piece(s, &s->slab[phase], rows, NULL, needs);
        if (!why && slices % rows)
            why = make_piece(s, &s->rest[phase], slices % rows, &s->slab[phase], needs);
        if (why)
            return why;
    }
    s->gather_bytes = aligned((size_t)(convolution_depth(s, rows) * slice_bytes));
    needs->workspace = aligned(needs->workspace) + s->gather_bytes;
    return NULL;
}

static const char *setup(struct convolution_state *s, struct needs *needs)
{
    const struct operation *o = &s->operation;
    const struct convolution *c = &o->convolution;
    const char *why = check(o);
    if (why)
        return why;
    s->alpha = s->beta = 1.0f;
    if (c->mix) {
        weight_to_f32(&o->weight[2], 0, 1, &s->alpha);
        s->alpha = 1.0f / (1.0f + expf(-s->alpha));
        s->beta = 1.0f - s->alpha;
    }
    bool flat = c->kernel[AXIS_D] == 1 && c->stride[AXIS_D] == 1 && !c->pad_front[AXIS_D] &&
                !c->pad_back[AXIS_D] && !c->transposed;
    bool padded = false;
    for (int a = 0; a < AXES; a++)
        padded |= c->pad_front[a] || c->pad_back[a];
    bool winograd = winograd_suits(o);
    s->gathered = c->transposed || (c->padding == PADDING_REPLICATE && padded && !winograd);
    s->axes = flat && !s->gathered ? 2 : 3;
    if (c->transposed)
        shape_transposed(s);
    else
        shape_plain(s);
    why = winograd      ? winograd_create(&s->winograd, o, needs)
          : s->gathered ? make_slabs(s, needs)
                        : make_piece(s, &s->slab[0], 0, NULL, needs);
    s->bias = needs->prepared;
    needs->prepared += aligned((size_t)o->output.shape.c * sizeof(float));
    needs->scratch = convolution_weights_scratch(s);
    return why;
}

static void destroy(void *state)
{
    struct convolution_state *s = state;
    winograd_destroy(s->winograd);
    for (int phase = 0; phase < CONVOLUTION_PHASES; phase++) {
        onednn_convolution_destroy(s->slab[phase].convolution);
        onednn_convolution_destroy(s->rest[phase].convolution);
    }
    free(s);
}

static const char *create(const struct operation *operation, void **state, struct needs *needs,
                          int *in_place)
{
    struct convolution_state *s = calloc(1, sizeof *s);
    if (!s)
        return "out of memory";
    s->operation = *operation;
    *needs = (struct needs){0};
    *in_place = operation->convolution.residual ? 1 : -1;
    const char *why = setup(s, needs);
    if (why) {
        destroy(s);
        return why;
    }
    *state = s;
    return NULL;
}

static const char *pack(const struct convolution_state *s, int phase, const float *weights,
                        char *prepared)
{
    const struct convolution_piece *slab = &s->slab[phase], *rest = &s->rest[phase];
    if (s->winograd) {
        winograd_pack(s->winograd, weights, prepared);
        return NULL;
    }
    const char *why = onednn_pack_weights(slab->convolution, weights, prepared + slab->weights);
    if (!why && rest->convolution && rest->weights != slab->weights)
        why = onednn_pack_weights(rest->convolution, weights, prepared + rest->weights);
    return why;
}

static const char *prepare(void *state, const struct operation *operation, void *prepared,
                           void *scratch)
{
    struct convolution_state *s = state;
    s->operation = *operation;
    s->prepared = prepared;
    const char *why = NULL;
    for (int phase = 0; phase < s->phases && !why; phase++)
        why = pack(s, phase, convolution_weights(s, phase, scratch), prepared);
    convolution_bias(s, (float *)(void *)((char *)prepared + s->bias));
    return why;
}

static const char *run_piece(const struct convolution_state *s,
                             const struct convolution_piece *piece, const void *source,
                             void *destination, void *workspace)
{
    return onednn_convolution_run(piece->convolution, source, s->prepared + piece->weights,
                                  (const float *)(const void *)(s->prepared + s->bias), destination,
                                  workspace);
}

static const char *run_slabs(const struct convolution_state *s, const void *input, void *output,
                             void *workspace)
{
    const struct operation *o = &s->operation;
    struct shape out = o->output.shape;
    int64_t out_slice = out.h * out.w * out.c * dtype_size(o->output.dtype);
    int64_t sample = tensor_bytes(o->input[0]) / o->input[0].shape.n;
    char *inner = (char *)workspace + s->gather_bytes;
    const char *why = NULL;
    for (int64_t n = 0; n < out.n; n++)
        for (int phase = 0; phase < s->phases; phase++) {
            int64_t slices = phase_slices(s, phase);
            for (int64_t row = 0; row < slices && !why; row += s->slab[phase].rows) {
                const struct convolution_piece *piece =
                    slices - row < s->slab[phase].rows ? &s->rest[phase] : &s->slab[phase];
                convolution_gather(s, phase, (const char *)input + n * sample, row, piece->rows,
                                   workspace);
                int64_t first = n * out.d + row * s->phases + phase;
                why = run_piece(s, piece, workspace, (char *)output + first * out_slice, inner);
            }
        }
    return why;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_state *s = state;
    const void *residual = s->operation.convolution.residual ? inputs[1] : NULL;
    if (s->winograd) {
        winograd_run(s->winograd, &(struct winograd_call){
                                      .input = inputs[0],
                                      .residual = residual,
                                      .beta = s->beta,
                                      .bias = (const void *)(s->prepared + s->bias),
                                      .weights = s->prepared,
                                      .output = output,
                                      .workspace = workspace,
                                  });
        return NULL;
    }
    if (residual && output != residual)
        memcpy(output, residual, (size_t)tensor_bytes(s->operation.output));
    return s->gathered ? run_slabs(s, inputs[0], output, workspace)
                       : run_piece(s, &s->slab[0], inputs[0], output, workspace);
}

const struct kernel cpu_convolution = {create, prepare, run, destroy};
