#include "lib/models/discriminator.h"
#include "lib/models/loss_layers.h"

#define SLOPE 0.2f

/* Convolution i is main.0, main.2, main.5, …; its norm, from the second on, follows it. */
static int convolution_index(int i)
{
    return i ? 3 * i - 1 : 0;
}

int discriminator_read(struct discriminator_config *c, struct weights *w, struct error *error)
{
    *c = (struct discriminator_config){0};
    if (weights_anchor(w, "main.0.weight", "", "discriminator", error))
        return -1;
    const struct safetensor *kernel = weights_find(w, "main.0.weight");
    if (kernel->rank != 4)
        return error_set(error, "the discriminator's main.0 is not a 2-D kernel");
    c->channels = kernel->shape[1];
    for (; kernel && kernel->rank == 4 && kernel->shape[0] > 1; c->layers++) {
        if (c->layers == DISCRIMINATOR_LAYERS)
            return error_set(error, "the discriminator has more than %d layers",
                             DISCRIMINATOR_LAYERS);
        c->width[c->layers] = kernel->shape[0];
        kernel = weights_find(w, KEY("main.%d.weight", convolution_index(c->layers + 1)));
    }
    return 0;
}

int discriminator_build(struct builder *b, const struct discriminator_config *c, int x)
{
    struct layer_convolution conv = {.dims = 2, .kernel = 4};
    for (int i = 0; i < c->layers; i++) {
        conv.out = c->width[i];
        conv.stride = i < c->layers - 1 ? 2 : 1;
        conv.no_bias = i > 0;
        x = layer_convolution(b, x, KEY("main.%d", convolution_index(i)), conv);
        if (i > 0)
            x = layer_batch_norm(b, x, KEY("main.%d", convolution_index(i) + 1));
        x = layer_leaky_relu(b, x, SLOPE);
    }
    conv = (struct layer_convolution){.dims = 2, .kernel = 4, .out = 1, .f32 = true};
    return layer_convolution(b, x, KEY("main.%d", convolution_index(c->layers)), conv);
}
