#include "lib/models/loss_layers.h"

#define BATCH_NORM_EPSILON 1e-5f
#define BATCH_NORM_MOMENTUM 0.1f
#define COMMITMENT 0.25f
#define ADAPTIVE_LIMIT 1e4f

static const struct tensor scalar = {{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};

int layer_loss(struct builder *b, enum loss_kind kind, int x, int target, float weight)
{
    struct operation o = {.kind = OP_LOSS, .output = scalar};
    o.loss = (struct loss){kind, weight};
    return layer_add(b, &o, (const int[]){x, target}, target > 0 ? 2 : 1, "loss");
}

int layer_quantizer_loss(struct builder *b, int z, int zq, const char *key, int64_t codes)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_LOSS, .output = scalar};
    o.loss = (struct loss){LOSS_L2, COMMITMENT};
    layer_weight(b, key, 2, (const int64_t[]){codes, layer_channels(b, zq)}, &o);
    int codebook = layer_add(b, &o, (const int[]){zq, z}, 2, "quantizer loss");
    return layer_sum(b, layer_loss(b, LOSS_L2, z, zq, 1.0f), codebook);
}

int layer_sum(struct builder *b, int x, int y)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_ADD, .output = graph_tensor(b->graph, x)};
    o.add.weight = 1.0f;
    return layer_add(b, &o, (const int[]){x, y}, 2, "sum");
}

void layer_scalar_output(struct builder *b, int x)
{
    if (!b->failed && graph_output(b->graph, x, b->error))
        b->failed = true;
}

int layer_numbers(struct builder *b, int64_t count)
{
    return layer_timesteps(b, count);
}

int layer_gather(struct builder *b, int x, int numbers)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_GATHER, .output = graph_tensor(b->graph, x)};
    o.output.shape.d = graph_tensor(b->graph, numbers).shape.n;
    return layer_add(b, &o, (const int[]){x, numbers}, 2, "gather");
}

int layer_leaky_relu(struct builder *b, int x, float slope)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_LEAKY_RELU, .output = graph_tensor(b->graph, x)};
    o.leaky_relu.slope = slope;
    return layer_add(b, &o, &x, 1, "leaky ReLU");
}

int layer_max_pool(struct builder *b, int x)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_MAX_POOL, .output = graph_tensor(b->graph, x)};
    o.output.shape.h /= 2;
    o.output.shape.w /= 2;
    return layer_add(b, &o, &x, 1, "max pooling");
}

/* One of the running averages: its memory is the parameter's. */
static void get_average(struct builder *b, const char *key, int64_t channels, struct operation *o)
{
    struct weight *weight = &o->weight[o->weights];
    if (b->failed)
        return;
    if (weights_get_state(b->weights, key, 1, &channels, weight, b->error))
        b->failed = true;
    else if (weights_trains(b->weights))
        o->gradient[o->weights] = (float *)(uintptr_t)weight->data;
    o->weights++;
}

int layer_batch_norm(struct builder *b, int x, const char *key)
{
    int64_t channels = layer_channels(b, x);
    if (b->failed)
        return -1;
    struct operation average = {.kind = OP_RUNNING_MOMENTS, .output = scalar};
    average.running_moments.momentum = BATCH_NORM_MOMENTUM;
    get_average(b, KEY("%s.running_mean", key), channels, &average);
    get_average(b, KEY("%s.running_var", key), channels, &average);
    if (average.gradient[0])
        layer_add(b, &average, &x, 1, key);
    struct operation o = {.kind = OP_GROUP_NORM, .output = graph_tensor(b->graph, x)};
    o.group_norm = (struct group_norm){
        .groups = (int)channels, .sources = 1, .epsilon = BATCH_NORM_EPSILON, .per_batch = true};
    layer_weight(b, KEY("%s.weight", key), 1, &channels, &o);
    layer_weight(b, KEY("%s.bias", key), 1, &channels, &o);
    return layer_add(b, &o, &x, 1, key);
}

int layer_feature_distance(struct builder *b, int x, int y, const char *key)
{
    const int64_t shape[4] = {1, layer_channels(b, x), 1, 1};
    struct operation o = {.kind = OP_FEATURE_DISTANCE, .output = scalar};
    layer_weight(b, key, 4, shape, &o);
    return layer_add(b, &o, (const int[]){x, y}, 2, key);
}

int layer_adaptive_weight(struct builder *b, int node, int dy_first, int dy_second,
                          float *const memory[2])
{
    const int dy[2] = {dy_first, dy_second};
    struct operation ratio = {.kind = OP_ADAPTIVE_WEIGHT, .weights = 2, .output = scalar};
    ratio.adaptive_weight.limit = ADAPTIVE_LIMIT;
    for (int i = 0; i < 2 && !b->failed; i++) {
        const struct graph_node *layer = &b->graph->node[node];
        struct operation o = layer->operation;
        int x = layer->input[0], gradient = dy[i];
        o.kind = OP_CONVOLUTION_WEIGHTS;
        o.output = scalar;
        for (int k = 0; k < o.weights; k++)
            o.gradient[k] = k ? NULL : memory[i];
        ratio.weight[i] = o.weight[0];
        ratio.gradient[i] = memory[i];
        gradient = layer_cast(b, gradient, graph_tensor(b->graph, x).dtype);
        layer_add(b, &o, (const int[]){x, gradient}, 2, "last layer");
    }
    return layer_add(b, &ratio, NULL, 0, "adaptive weight");
}

int layer_weighted_sum(struct builder *b, int x, int y, float weight, int factor)
{
    if (b->failed)
        return -1;
    struct operation o = {.kind = OP_ADD, .output = graph_tensor(b->graph, x)};
    o.add.weight = weight;
    return layer_add(b, &o, (const int[]){x, y, factor}, 3, "weighted sum");
}
