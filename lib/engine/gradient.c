#include "lib/engine/gradient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A graph being differentiated. */
struct differentiation {
    struct graph *graph;
    struct error *error;
    bool failed;
    bool *active;  /* of each forward value: does anything wanted lead to it? */
    int *gradient; /* of each forward value: the sum so far; −1: nothing yet */
    char name[GRAPH_NAME];
};

static int fail(struct differentiation *d, const char *why)
{
    if (!d->failed)
        error_set(d->error, "%s: %s", d->name, why);
    d->failed = true;
    return -1;
}

static int add(struct differentiation *d, const struct operation *o, const int *input, int inputs)
{
    if (d->failed)
        return -1;
    int value = graph_add(d->graph, o, input, inputs, d->name, d->error);
    d->failed |= value < 0;
    return value;
}

static struct tensor tensor_of(const struct differentiation *d, int value)
{
    return graph_tensor(d->graph, value);
}

static struct tensor scalar(void)
{
    return (struct tensor){{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};
}

/* Add `more` to the gradient of a value. */
static void give(struct differentiation *d, int value, int more)
{
    int sum = d->gradient[value];
    if (!d->active[value] || d->failed)
        return;
    if (sum >= 0) {
        struct operation o = {.kind = OP_ADD, .output = tensor_of(d, value)};
        o.add.weight = 1.0f;
        more = add(d, &o, (const int[]){sum, more}, 2);
    }
    d->gradient[value] = more;
}

/* Give a value the output of an operation which adds what the value has been given already, as its
 * last input. */
static void give_added(struct differentiation *d, int value, struct operation *o, const int *input,
                       int inputs)
{
    int all[OPERATION_INPUTS];
    if (!d->active[value] || d->failed)
        return;
    memcpy(all, input, (size_t)inputs * sizeof *all);
    if (d->gradient[value] >= 0)
        all[inputs++] = d->gradient[value];
    o->output = tensor_of(d, value);
    d->gradient[value] = add(d, o, all, inputs);
}

static bool wants_weights(const struct operation *o, int first, int count)
{
    for (int i = first; i < first + count && i < o->weights; i++)
        if (o->gradient[i])
            return true;
    return false;
}

/* dy in the type of a convolution's input: products are of one type. */
static int cast_like(struct differentiation *d, int dy, int like)
{
    struct operation o = {.kind = OP_CAST, .output = tensor_of(d, dy)};
    enum dtype dtype = tensor_of(d, like).dtype;
    if (o.output.dtype == dtype)
        return dy;
    o.output.dtype = dtype;
    return add(d, &o, &dy, 1);
}

/* y = a·conv(x) + (1−a)·residual, or y = conv(x) + residual. */
static void convolution(struct differentiation *d, const struct operation *forward, const int *in,
                        int y, int dy)
{
    struct operation o = *forward;
    const struct convolution *c = &forward->convolution;
    int kernels = 2 * c->parts;
    if (c->relu || c->norm_epsilon > 0) {
        fail(d, "a convolution with batch norm or ReLU has no gradient");
        return;
    }
    int cast = cast_like(d, dy, in[0]);
    if (wants_weights(forward, 0, kernels)) {
        o.kind = OP_CONVOLUTION_WEIGHTS;
        o.output = scalar();
        add(d, &o, (const int[]){in[0], cast}, 2);
    }
    o.kind = OP_CONVOLUTION_DATA;
    give_added(d, in[0], &o, &cast, 1);
    if (c->residual && c->mix) {
        bool wanted = forward->gradient[kernels];
        struct operation mix = {.kind = OP_MIX_GRADIENT, .weights = 1};
        mix.weight[0] = forward->weight[kernels];
        mix.gradient[0] = forward->gradient[kernels];
        mix.output = tensor_of(d, in[1]);
        if (wanted || d->active[in[1]])
            give(d, in[1], add(d, &mix, (const int[]){dy, y, in[1]}, wanted ? 3 : 1));
    } else if (c->residual) {
        give(d, in[1], dy);
    }
}

/* The transpose of a resampling, as a value like `in`. */
static int resampled(struct differentiation *d, int dy, struct tensor in,
                     enum resampling resampling, bool depth)
{
    struct operation o = {.kind = OP_RESAMPLE, .output = in};
    o.resample = (struct resample){
        .resampling = resampling == RESAMPLE_UP ? RESAMPLE_DOWN : RESAMPLE_UP,
        .resample_depth = depth,
        .gradient = true,
    };
    return add(d, &o, &dy, 1);
}

static void group_norm(struct differentiation *d, const struct operation *forward, const int *in,
                       int dy)
{
    struct operation o = *forward;
    const struct group_norm *g = &forward->group_norm;
    struct tensor map = forward->input[0];
    map.shape.c = forward->output.shape.c;
    if (g->resampling != RESAMPLE_NONE)
        dy = resampled(d, dy, map, g->resampling, g->resample_depth);
    o.group_norm.resampling = RESAMPLE_NONE;

    int all[OPERATION_INPUTS], count = 0, vectors = g->scale_shift ? in[g->sources] : -1;
    for (int i = 0; i < forward->inputs; i++)
        all[count++] = in[i];
    all[count++] = dy;
    int64_t sets = g->per_batch ? 1 : map.shape.n * (g->per_slice ? map.shape.d : 1);
    o.kind = OP_GROUP_NORM_SUMS;
    o.output =
        (struct tensor){{sets, 1, 1, 1, GROUP_NORM_SUMS * map.shape.c}, DTYPE_F32, CHANNELS_LAST};
    int sums = add(d, &o, all, count);
    bool wants_vectors = g->scale_shift && d->active[vectors];
    if (wants_weights(forward, 0, 2) || wants_vectors) {
        o.kind = OP_GROUP_NORM_WEIGHTS;
        o.output = g->scale_shift ? tensor_of(d, vectors) : scalar();
        int made = add(d, &o, (const int[]){sums, vectors}, g->scale_shift ? 2 : 1);
        if (wants_vectors)
            give(d, vectors, made);
    }
    o.kind = OP_GROUP_NORM_DATA;
    for (int i = 0; i < g->sources; i++) {
        o.group_norm.source = i;
        give_added(d, in[i], &o, (const int[]){in[i], dy, sums}, 3);
    }
}

static void linear(struct differentiation *d, const struct operation *forward, const int *in,
                   int dy)
{
    struct operation o = *forward;
    if (wants_weights(forward, 0, 2)) {
        o.kind = OP_LINEAR_WEIGHTS;
        o.output = scalar();
        add(d, &o, (const int[]){in[0], dy}, 2);
    }
    o.kind = OP_LINEAR_DATA;
    o.output = tensor_of(d, in[0]);
    if (d->active[in[0]])
        give(d, in[0], add(d, &o, (const int[]){dy, in[0]}, 2));
}

static void to_channels_last(struct differentiation *d, const struct operation *forward,
                             const int *in, int dy)
{
    struct operation o = {.kind = OP_TO_SLICE_MAJOR};
    for (int i = 0; i < forward->inputs; i++) {
        o.output = tensor_of(d, in[i]);
        if (d->active[in[i]])
            give(d, in[i], add(d, &o, &dy, 1));
        o.to_slice_major.first_channel += o.output.shape.c;
    }
}

static void sum(struct differentiation *d, const struct operation *forward, const int *in, int dy)
{
    if (forward->inputs > 2 || forward->add.weight != 1.0f)
        fail(d, "only a plain sum has a gradient");
    give(d, in[0], dy);
    give(d, in[1], dy);
}

/* The target of a loss is a constant; the codebook's part goes to the codes that x holds. */
static void loss(struct differentiation *d, const struct operation *forward, const int *in, int dy)
{
    struct operation o = *forward;
    int all[OPERATION_INPUTS] = {in[0], forward->inputs > 1 ? in[1] : dy, dy};
    bool codebook = forward->weights > 0;
    o.kind = OP_LOSS_DATA;
    o.weights = 0;
    o.output = tensor_of(d, in[0]);
    if (!codebook && d->active[in[0]]) {
        give(d, in[0], add(d, &o, all, forward->inputs + 1));
    } else if (codebook && forward->gradient[0]) {
        int gradient = add(d, &o, all, forward->inputs + 1);
        struct operation codes = {.kind = OP_CODEBOOK_WEIGHTS, .weights = 1, .output = scalar()};
        codes.weight[0] = forward->weight[0];
        codes.gradient[0] = forward->gradient[0];
        add(d, &codes, (const int[]){in[0], gradient}, 2);
    }
}

/* An operation that turns dy, among other inputs, into the gradient of `value`. */
static void simple(struct differentiation *d, const struct operation *forward,
                   enum operation_kind kind, int value, const int *input, int inputs)
{
    struct operation o = *forward;
    o.kind = kind;
    o.output = tensor_of(d, value);
    if (d->active[value])
        give(d, value, add(d, &o, input, inputs));
}

static void differentiate_node(struct differentiation *d, int i, int dy)
{
    const struct graph_node node = d->graph->node[i]; /* adding nodes moves the others */
    const struct operation *o = &node.operation;
    const int *in = node.input, y = node.output;
    snprintf(d->name, sizeof d->name, "%s", node.name);
    switch (o->kind) {
    case OP_CONVOLUTION:
        return convolution(d, o, in, y, dy);
    case OP_GROUP_NORM:
        return group_norm(d, o, in, dy);
    case OP_LINEAR:
        return linear(d, o, in, dy);
    case OP_ATTENTION:
        return simple(d, o, OP_ATTENTION_DATA, in[0], (const int[]){in[0], y, dy}, 3);
    case OP_RESAMPLE:
        return give(
            d, in[0],
            resampled(d, dy, o->input[0], o->resample.resampling, o->resample.resample_depth));
    case OP_CAST:
        return simple(d, o, OP_CAST, in[0], &dy, 1);
    case OP_TO_CHANNELS_LAST:
        return to_channels_last(d, o, in, dy);
    case OP_TO_SLICE_MAJOR:
        return simple(d, o, OP_TO_CHANNELS_LAST, in[0], &dy, 1);
    case OP_QUANTIZE:
        return give(d, in[0], dy);
    case OP_ADD:
        return sum(d, o, in, dy);
    case OP_LOSS:
        return loss(d, o, in, dy);
    case OP_GATHER:
        return simple(d, o, OP_SCATTER, in[0], (const int[]){dy, in[1]}, 2);
    case OP_LEAKY_RELU:
        return simple(d, o, OP_LEAKY_RELU_DATA, in[0], (const int[]){y, dy}, 2);
    case OP_MAX_POOL:
        return simple(d, o, OP_MAX_POOL_DATA, in[0], (const int[]){in[0], dy}, 2);
    case OP_FEATURE_DISTANCE:
        simple(d, o, OP_FEATURE_DISTANCE_DATA, in[0], (const int[]){in[0], in[1], dy}, 3);
        return simple(d, o, OP_FEATURE_DISTANCE_DATA, in[1], (const int[]){in[1], in[0], dy}, 3);
    default:
        fail(d, "this operation has no gradient");
    }
}

/* Do weights of this node get gradients from the gradient of its output? */
static bool learns(const struct operation *o)
{
    switch (o->kind) {
    case OP_CONVOLUTION:
    case OP_GROUP_NORM:
    case OP_LINEAR:
    case OP_LOSS:
        return wants_weights(o, 0, OPERATION_WEIGHTS);
    default:
        return false;
    }
}

static void mark_active(struct differentiation *d, const struct gradient_request *r)
{
    for (int i = 0; i < r->count; i++)
        d->active[r->wanted[i]] = true;
    for (int i = r->first; i < d->graph->forward; i++) {
        const struct graph_node *node = &d->graph->node[i];
        bool active = learns(&node->operation);
        for (int k = 0; k < node->operation.inputs; k++)
            active |= d->active[node->input[k]];
        if (active)
            d->active[node->output] = true;
    }
}

static void plant(struct differentiation *d, const struct gradient_request *r)
{
    snprintf(d->name, sizeof d->name, "seed");
    for (int i = 0; i < r->seeds; i++) {
        int value = r->seed[i].value, gradient = r->seed[i].gradient;
        struct operation one = {.kind = OP_FILL, .output = tensor_of(d, value)};
        one.fill.value = 1.0f;
        if (gradient < 0 && shape_count(one.output.shape) != 1)
            fail(d, "what is differentiated is not a scalar");
        else if (gradient < 0)
            gradient = add(d, &one, NULL, 0);
        give(d, value, gradient);
    }
}

int graph_differentiate(struct graph *graph, const struct gradient_request *request, int *gradient,
                        struct error *error)
{
    int values = graph->values;
    struct differentiation d = {.graph = graph, .error = error};
    if (!graph->forward)
        graph->forward = graph->nodes;
    d.active = calloc((size_t)values, sizeof *d.active);
    d.gradient = malloc((size_t)values * sizeof *d.gradient);
    if (!d.active || !d.gradient) {
        free(d.active);
        free(d.gradient);
        return error_set(error, "out of memory");
    }
    for (int v = 0; v < values; v++)
        d.gradient[v] = -1;
    mark_active(&d, request);
    plant(&d, request);
    for (int i = graph->forward - 1; i >= request->first && !d.failed; i--) {
        int dy = d.gradient[graph->node[i].output];
        if (dy >= 0)
            differentiate_node(&d, i, dy);
    }
    for (int i = 0; i < request->count; i++)
        gradient[i] = d.gradient[request->wanted[i]];
    free(d.active);
    free(d.gradient);
    return d.failed ? -1 : 0;
}
