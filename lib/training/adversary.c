#include "lib/training/adversary.h"

#include "lib/engine/memory.h"
#include "lib/models/loss_layers.h"

static const float lpips_weight = 0.1f, generator_weight = 0.6f;

int adversary_open(struct adversary *a, const char *discriminator, const char *lpips,
                   const struct backend *backend, struct error *error)
{
    *a = (struct adversary){0};
    if ((lpips && (weights_open(&a->lpips, lpips, false, error) ||
                   lpips_read(&a->lpips_config, a->lpips, error))) ||
        (discriminator &&
         (weights_open(&a->discriminator, discriminator, false, error) ||
          discriminator_read(&a->discriminator_config, a->discriminator, error)))) {
        adversary_close(a);
        return -1;
    }
    if (!discriminator)
        return 0;
    a->parameters = parameters_create(backend);
    if (!a->parameters) {
        adversary_close(a);
        return error_set(error, "out of memory");
    }
    weights_train(a->discriminator, a->parameters);
    return 0;
}

void adversary_close(struct adversary *a)
{
    network_destroy(a->network);
    for (int i = 0; a->parameters && i < 2; i++)
        memory_destroy(a->parameters->backend, a->last[i], a->last_count);
    parameters_destroy(a->parameters);
    weights_close(a->discriminator);
    weights_close(a->lpips);
    *a = (struct adversary){0};
}

int adversary_plan(struct adversary *a, int64_t slices, int64_t h, int64_t w,
                   const struct stage_settings *settings, struct train_memory memory,
                   struct error *error)
{
    struct builder b;
    if (!a->discriminator)
        return 0;
    if (train_network_begin(&b, a->discriminator, settings->activations, error))
        return -1;
    int real = layer_input(&b, 1, slices, 1, h, w), fake = layer_input(&b, 1, slices, 1, h, w);
    real = layer_channels_last(&b, &real, 1, false);
    fake = layer_channels_last(&b, &fake, 1, false);
    int on_real = discriminator_build(&b, &a->discriminator_config, real);
    int on_fake = discriminator_build(&b, &a->discriminator_config, fake);
    int loss = layer_sum(&b, layer_loss(&b, LOSS_HINGE_REAL, on_real, 0, 0.5f),
                         layer_loss(&b, LOSS_HINGE_FAKE, on_fake, 0, 0.5f));
    layer_scalar_output(&b, loss);
    struct gradient_seed seed = {loss, -1};
    return train_network_finish(&a->network, &b, &seed, 1, settings->backend, memory);
}

int adversary_run(struct adversary *a, const float *real, const float *fake, double *loss,
                  struct error *error)
{
    float value;
    if (network_run(a->network, (const void *const[]){real, fake}, (void *const[]){&value}, error))
        return -1;
    *loss = (double)value;
    return 0;
}

/* Build with the weights of another file, which stay as they are. */
static int build_lpips(struct adversary *a, struct builder *b, int x, int y)
{
    struct weights *own = b->weights;
    b->weights = a->lpips;
    int distance = lpips_build(b, &a->lpips_config, x, y);
    b->weights = own;
    return distance;
}

static int build_generator_loss(struct adversary *a, struct builder *b, int y)
{
    struct weights *own = b->weights;
    b->weights = a->discriminator;
    weights_freeze(a->discriminator, true);
    int logits = discriminator_build(b, &a->discriminator_config, y);
    weights_freeze(a->discriminator, false);
    b->weights = own;
    return layer_loss(b, LOSS_MEAN, logits, 0, -1.0f);
}

static int factor(struct builder *b, float value)
{
    struct operation o = {.kind = OP_FILL, .output = {{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST}};
    o.fill.value = value;
    return layer_add(b, &o, NULL, 0, "factor");
}

/* The gradient by y of the sum of seeds, of which the nodes from `first` on are made. */
static int differentiate(struct builder *b, const struct gradient_seed *seeds, int count, int first,
                         int y)
{
    int gradient = -1;
    struct gradient_request request = {seeds, count, first, &y, 1};
    if (!b->failed && graph_differentiate(b->graph, &request, &gradient, b->error))
        b->failed = true;
    return gradient;
}

/* Room for the gradients of the last layer's kernel. */
static int make_memory(struct adversary *a, struct builder *b, int node)
{
    const struct weight *kernel = &b->graph->node[node].operation.weight[0];
    a->last_count = 1;
    for (int i = 0; i < kernel->rank; i++)
        a->last_count *= kernel->shape[i];
    for (int i = 0; i < 2; i++) {
        a->last[i] = memory_create(a->parameters->backend, a->last_count);
        if (!a->last[i])
            return layer_fail(b, "out of memory");
    }
    return 0;
}

int adversary_judge(struct adversary *a, struct builder *b, int x, int y, const char *last,
                    bool judged, struct adversary_losses *losses, struct gradient_seed *seed)
{
    if (b->failed)
        return -1;
    int node = graph_find(b->graph, last), first = b->graph->value[y].node + 1, seeds = 1;
    struct adversary_losses l = {0};
    judged = judged && a->discriminator;
    if (node < 0)
        return layer_fail(b, "there is no layer %s", last);
    l.l1 = layer_loss(b, LOSS_L1, y, x, 1.0f);
    l.lpips = a->lpips ? build_lpips(a, b, x, y) : 0;
    l.generator = judged ? build_generator_loss(a, b, y) : 0;
    layer_scalar_output(b, l.l1);
    if (l.lpips)
        layer_scalar_output(b, l.lpips);
    if (l.generator)
        layer_scalar_output(b, l.generator);
    struct gradient_seed nll[2] = {{l.l1, -1}}, g = {l.generator, -1};
    if (l.lpips)
        nll[seeds++] = (struct gradient_seed){l.lpips, factor(b, lpips_weight)};
    int dy = differentiate(b, nll, seeds, first, y);
    if (judged) {
        int of_g = differentiate(b, &g, 1, first, y);
        if (b->failed || make_memory(a, b, node))
            return -1;
        l.weight = layer_adaptive_weight(b, node, dy, of_g, a->last);
        layer_scalar_output(b, l.weight);
        dy = layer_weighted_sum(b, dy, of_g, generator_weight, l.weight);
    }
    *losses = l;
    *seed = (struct gradient_seed){y, dy};
    return b->failed ? -1 : 0;
}
