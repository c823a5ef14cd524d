#include "pipelines/bench/training.h"
#include "lib/engine/gradient.h"
#include "lib/engine/upsampling.h"
#include "lib/models/autoencoder2d.h"
#include "lib/models/loss_layers.h"
#include "lib/models/nhae.h"
#include "lib/models/unet.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 4, BATCH = 16, WINDOW = 5, ENLARGED = 8, MOMENTS = 2 };

/* What learns where not everything does (MODEL.md "Training", 2 and 5): parts of names. */
static const char *const all[] = {"", NULL}, *const adaptors[] = {"3d", NULL};
static const char *const nested[] = {"encoder3D.", "quant_conv_3D", "quantize3D.",
                                     "SR3D.",      "decoder.conv_", NULL};

struct task {
    struct filter *filter;
    const struct training_bench *bench;
    struct builder builder;
    const char *const *learns;
};

/* Mean |y − target| of an output of the networks, and the target as another input. */
static int absolute_error(struct builder *b, int y)
{
    if (b->failed)
        return -1;
    struct shape s = graph_tensor(b->graph, y).shape;
    int target = layer_input(b, s.n, s.d, s.c, s.h, s.w);
    return layer_loss(b, LOSS_L1, y, layer_channels_last(b, &target, 1, true), 1.0f);
}

/* The loss of the quantizer under `key`. */
static int quantizer_loss(struct builder *b, const char *key, int64_t codes)
{
    if (b->failed)
        return -1;
    const struct graph_node *node = &b->graph->node[graph_find(b->graph, key)];
    return layer_quantizer_loss(b, node->input[0], node->output, key, codes);
}

static int build_unet(struct task *task, int dims)
{
    struct builder *b = &task->builder;
    struct unet_config config;
    int64_t extent = task->bench->latent, n = dims == 2 ? BATCH : 1, d = dims == 2 ? 1 : extent;
    filter_check(task->filter, unet_read(&config, b->weights, b->error));
    int inputs[2], count = dims == 2 ? 2 : 1;
    for (int i = 0; i < count; i++)
        inputs[i] = layer_input(b, n, d, CHANNELS, extent, extent);
    int timesteps = layer_timesteps(b, n);
    return absolute_error(
        b, unet_build(b, &config, layer_channels_last(b, inputs, count, false), timesteps));
}

/* Crops of half the extents: latents of slices come from a network that does not learn. */
static int build_multislice(struct task *task)
{
    struct builder *b = &task->builder;
    struct autoencoder2d_config config;
    int64_t extent = task->bench->latent / 2;
    task->learns = adaptors;
    filter_check(task->filter, decoder2d_read(&config, b->weights, b->error));
    int z = layer_input(b, 1, WINDOW, CHANNELS, extent, extent);
    return absolute_error(b, decoder2d_build(b, &config, layer_channels_last(b, &z, 1, true)));
}

static int build_autoencoder2d(struct task *task)
{
    struct builder *b = &task->builder;
    struct autoencoder2d_config encoder, decoder;
    int64_t extent = task->bench->latent * ENLARGED;
    filter_check(task->filter, encoder2d_read(&encoder, b->weights, b->error));
    filter_check(task->filter, decoder2d_read(&decoder, b->weights, b->error));
    int x = layer_input(b, 1, 1, 1, extent, extent);
    int z = encoder2d_build(b, &encoder, layer_channels_last(b, &x, 1, false));
    int y = decoder2d_build(b, &decoder, z);
    int loss = quantizer_loss(b, "quantize.embedding.weight", decoder.codes);
    return layer_sum(b, absolute_error(b, y), loss);
}

/* Crops of half the extents, of which a window of slices is decoded. */
static int build_nhae(struct task *task)
{
    struct builder *b = &task->builder;
    struct encoder3d_config encoder;
    struct latent_sr_config sr;
    struct autoencoder2d_config decoder;
    int64_t extent = task->bench->latent * 2;
    task->learns = nested;
    filter_check(task->filter, encoder3d_read(&encoder, b->weights, b->error));
    filter_check(task->filter, latent_sr_read(&sr, b->weights, b->error));
    filter_check(task->filter, decoder2d_read(&decoder, b->weights, b->error));
    encoder.whole_maps = true;
    int x = layer_input(b, 1, extent, 1, extent, extent);
    int numbers = layer_numbers(b, WINDOW);
    int z = encoder3d_build(b, &encoder, layer_channels_last(b, &x, 1, false));
    int z_sr = latent_sr_build(b, &sr, z);
    int y = decoder2d_build(b, &decoder, layer_gather(b, z_sr, numbers));
    int loss = quantizer_loss(b, "quantize3D.embedding.weight", sr.codes);
    return layer_sum(b, absolute_error(b, y), loss);
}

/* The graph of the loss, an output. */
static void build(struct task *task, struct weights *weights)
{
    const char *name = task->bench->network;
    struct error *error = &task->filter->error;
    struct graph *graph = graph_create(task->bench->settings.activations);
    if (!graph)
        filter_fail(task->filter, "out of memory");
    task->builder = (struct builder){graph, weights, error, false};
    task->learns = all;
    int loss = !strcmp(name, "diffusion3d")     ? build_unet(task, 3)
               : !strcmp(name, "refiner")       ? build_unet(task, 2)
               : !strcmp(name, "multislice")    ? build_multislice(task)
               : !strcmp(name, "autoencoder2d") ? build_autoencoder2d(task)
               : !strcmp(name, "nhae")
                   ? build_nhae(task)
                   : layer_fail(&task->builder, "%s is not trained by itself", name);
    layer_scalar_output(&task->builder, loss);
    filter_check(task->filter, task->builder.failed ? -1 : 0);
    graph_fuse_upsampling(graph);
}

static bool is_one_of(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return true;
    return false;
}

/* Take the gradient from a parameter that does not learn. */
static void freeze(struct graph *graph, struct parameter *parameter)
{
    for (int i = 0; i < graph->nodes; i++)
        for (int k = 0; k < OPERATION_WEIGHTS; k++)
            if (graph->node[i].operation.gradient[k] == parameter->gradient)
                graph->node[i].operation.gradient[k] = NULL;
    free(parameter->gradient);
    parameter->gradient = NULL;
}

/* Freeze what does not learn; the elements of what does. */
static int64_t choose_learning(struct task *task, struct parameters *parameters)
{
    int64_t learning = 0;
    for (int64_t i = 0; i < parameters->count; i++) {
        struct parameter *p = parameters->list[i];
        if (p->gradient && !is_one_of(p->name, task->learns))
            freeze(task->builder.graph, p);
        learning += p->gradient ? p->count : 0;
    }
    return learning;
}

static struct network *open_forward(struct task *task)
{
    struct network *network;
    filter_check(task->filter, network_create(&network, task->builder.graph,
                                              task->bench->settings.backend, &task->filter->error));
    return network;
}

/* memory: of the network alone, 0: no bound. */
static struct network *open_step(struct task *task, int64_t memory)
{
    struct network *network;
    struct graph *graph = task->builder.graph;
    int loss = -1;
    for (int v = 0; v < graph->values; v++)
        loss = graph->value[v].output == 0 ? v : loss;
    struct gradient_seed seed = {loss, -1};
    struct gradient_request request = {.seed = &seed, .seeds = 1};
    filter_check(task->filter, graph_differentiate(graph, &request, NULL, &task->filter->error));
    filter_check(task->filter,
                 network_create_training(&network, graph, task->bench->settings.backend, memory,
                                         &task->filter->error));
    return network;
}

/* Kinds of operations as the table tells them apart. */
enum share { CONVOLUTION, NORM, ATTENTION, REST, SHARES };

static enum share share_of(enum operation_kind kind)
{
    switch (kind) {
    case OP_CONVOLUTION:
    case OP_CONVOLUTION_DATA:
    case OP_CONVOLUTION_WEIGHTS:
        return CONVOLUTION;
    case OP_GROUP_NORM:
    case OP_GROUP_NORM_SUMS:
    case OP_GROUP_NORM_DATA:
    case OP_GROUP_NORM_WEIGHTS:
        return NORM;
    case OP_ATTENTION:
    case OP_ATTENTION_DATA:
        return ATTENTION;
    default:
        return REST;
    }
}

/* Some nodes of a run: seconds and operations, of all and by shares. */
struct pass {
    double seconds, flops, share_seconds[SHARES], share_flops[SHARES];
};

static struct pass add_up(const struct graph *graph, const double *seconds, int from, int to)
{
    struct pass pass = {0};
    for (int i = from; i < to; i++) {
        enum share share = share_of(graph->node[i].operation.kind);
        double flops = graph_node_flops(&graph->node[i]);
        pass.seconds += seconds[i];
        pass.flops += flops;
        pass.share_seconds[share] += seconds[i];
        pass.share_flops[share] += flops;
    }
    return pass;
}

/* GFLOP/s, and over those of the convolutions alone. */
static void print_rate(struct pass pass)
{
    double rate = pass.flops / pass.seconds;
    double alone = pass.share_flops[CONVOLUTION] / pass.share_seconds[CONVOLUTION];
    printf(" %7.1f | %5.2f |", rate * 1e-9, rate / alone);
}

static void print_row(const struct task *task, const struct network *network, const double *seconds,
                      double forward_seconds, double held)
{
    const struct graph *graph = network_graph(network);
    struct pass step = add_up(graph, seconds, 0, graph->nodes);
    struct pass forward = add_up(graph, seconds, 0, graph->forward);
    printf("| %-13s | %-9s | %7.3f | %8.3f | %8.3f | %5.2f |", task->bench->network,
           graph->activations == DTYPE_BF16 ? "bf16" : "fp32", step.flops * 1e-12, forward_seconds,
           step.seconds, step.seconds / forward_seconds);
    print_rate(forward);
    print_rate(add_up(graph, seconds, graph->forward, graph->nodes));
    for (int share = 0; share < SHARES; share++)
        printf(" %4.1f |", 100 * step.share_seconds[share] / step.seconds);
    printf(" %6.0f | %6.0f | %6.0f |\n", held, held + measure_plan(network), measure_peak());
}

/* The seconds of a forward pass of the network as it is used: weights packed before. */
static double time_forward(struct task *task, struct weights *weights)
{
    build(task, weights);
    struct network *network = open_forward(task);
    int nodes = network_graph(network)->nodes;
    double *seconds = filter_allocate(task->filter, nodes, sizeof *seconds);
    measure_network(task->filter, network, task->bench->effort, seconds);
    double whole = measure_sum(seconds, nodes);
    free(seconds);
    network_destroy(network);
    return whole;
}

void training_report(struct filter *filter, struct weights *weights,
                     const struct training_bench *bench)
{
    struct task task = {.filter = filter, .bench = bench};
    double forward_seconds = time_forward(&task, weights);
    struct parameters *parameters = parameters_create(bench->settings.backend);
    if (!parameters)
        filter_fail(filter, "out of memory");
    weights_train(weights, parameters);
    build(&task, weights);
    int64_t learning = choose_learning(&task, parameters), count = 0;
    for (int64_t i = 0; i < parameters->count; i++)
        count += parameters->list[i]->count;
    weights_close(weights);
    int64_t held = (count + (1 + MOMENTS) * learning) * (int64_t)sizeof(float);
    if (bench->memory && held >= bench->memory)
        filter_fail(filter, "parameters and optimizer alone take %.1f GiB",
                    (double)held / (1 << 30));
    struct network *network = open_step(&task, bench->memory ? bench->memory - held : 0);
    float *moments = filter_allocate(filter, MOMENTS * learning, sizeof *moments);
    memset(moments, 0, (size_t)(MOMENTS * learning) * sizeof *moments);
    parameters_clear_gradients(parameters);
    double *seconds = filter_allocate(filter, network_graph(network)->nodes, sizeof *seconds);
    measure_network(filter, network, bench->effort, seconds);
    print_row(&task, network, seconds, forward_seconds, (double)held / (1 << 20));
    free(seconds);
    free(moments);
    network_destroy(network);
    parameters_destroy(parameters);
}
