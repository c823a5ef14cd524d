#include "lib/models/nhae.h"

#define NORM_EPSILON 1e-6f

int encoder3d_read(struct encoder3d_config *c, struct weights *w, struct error *error)
{
    int64_t groups;
    if (weights_anchor(w, "encoder3D.conv_first.conv.weight", "", "3-D encoder", error) ||
        weights_metadata_int(w, "groups", 32, &groups, error))
        return -1;
    const struct safetensor *first = weights_find(w, "encoder3D.conv_first.conv.weight");
    const struct safetensor *last = weights_find(w, "encoder3D.final_block.2.weight");
    if (first->rank != 5 || !last || last->rank != 5)
        return error_set(error, "the 3-D encoder's first or last convolution is not a 3-D kernel");
    *c = (struct encoder3d_config){
        .width = first->shape[0], .channels = last->shape[0], .groups = (int)groups};
    while (c->levels < NHAE_LEVELS &&
           weights_find(w, KEY("encoder3D.conv_blocks.%d.down.conv.weight", c->levels)))
        c->levels++;
    if (!c->levels)
        return error_set(error, "the 3-D encoder has no encoder3D.conv_blocks.0.down.conv.weight");
    return 0;
}

/* x + conv(silu(GN(conv(silu(GN(x)))))), 3³, replicate padding. */
static int residual_block(struct builder *b, int x, const char *key, int groups)
{
    struct layer_norm norm = {.dims = 3, .groups = groups, .epsilon = NORM_EPSILON, .silu = true};
    struct layer_convolution conv = {
        .dims = 3, .kernel = 3, .out = layer_channels(b, x), .replicate = true};
    int h = layer_norm(b, &x, 1, KEY("%s.norm1", key), norm);
    h = layer_convolution(b, h, KEY("%s.conv1.conv", key), conv);
    h = layer_norm(b, &h, 1, KEY("%s.norm2", key), norm);
    conv.residual = x;
    return layer_convolution(b, h, KEY("%s.conv2.conv", key), conv);
}

/* Halves the map to level i. */
static struct layer_convolution down(const struct encoder3d_config *c, int i)
{
    return (struct layer_convolution){
        .dims = 3, .kernel = 4, .stride = 2, .out = c->width << (i + 1), .replicate = true};
}

/* conv_first and the halving to level 0. There is no norm between them, so they run as a pair. */
static int first_level(struct builder *b, const struct encoder3d_config *c, int x)
{
    static const char *const keys[] = {"encoder3D.conv_first.conv",
                                       "encoder3D.conv_blocks.0.down.conv"};
    struct layer_convolution first = {.dims = 3, .kernel = 3, .out = c->width, .replicate = true};
    if (!c->whole_maps)
        return layer_convolution_pair(b, x, keys,
                                      (const struct layer_convolution[]){first, down(c, 0)});
    x = layer_convolution(b, x, keys[0], first);
    return layer_convolution(b, x, keys[1], down(c, 0));
}

int encoder3d_build(struct builder *b, const struct encoder3d_config *c, int x)
{
    int h = first_level(b, c, x);
    for (int i = 0; i < c->levels; i++) {
        if (i > 0)
            h = layer_convolution(b, h, KEY("encoder3D.conv_blocks.%d.down.conv", i), down(c, i));
        h = residual_block(b, h, KEY("encoder3D.conv_blocks.%d.res", i), c->groups);
    }
    struct layer_norm norm = {
        .dims = 3, .groups = c->groups, .epsilon = NORM_EPSILON, .silu = true};
    h = layer_norm(b, &h, 1, "encoder3D.final_block.0", norm);
    struct layer_convolution last = {.dims = 3, .kernel = 3, .out = c->channels, .f32 = true};
    h = layer_convolution(b, h, "encoder3D.final_block.2", last);
    struct layer_convolution quant = {.dims = 3, .kernel = 1, .out = c->channels, .f32 = true};
    return layer_convolution(b, h, "quant_conv_3D", quant);
}

int latent_sr_read(struct latent_sr_config *c, struct weights *w, struct error *error)
{
    if (weights_anchor(w, "SR3D.final_block.0.weight", "", "latent super-resolution", error))
        return -1;
    const struct safetensor *norm = weights_find(w, "SR3D.final_block.0.weight");
    const struct safetensor *codes = weights_find(w, "quantize3D.embedding.weight");
    if (norm->rank != 1 || !codes || codes->rank != 2)
        return error_set(error, "SR3D.final_block.0 or quantize3D.embedding is misshapen");
    *c = (struct latent_sr_config){norm->shape[0], codes->shape[0], 0};
    while (c->levels < NHAE_LEVELS &&
           weights_find(w, KEY("SR3D.conv_blocks.%d.up.convt.weight", c->levels)))
        c->levels++;
    return 0;
}

int latent_sr_build(struct builder *b, const struct latent_sr_config *c, int z)
{
    struct layer_convolution pointwise = {.dims = 3, .kernel = 1, .out = c->channels};
    enum dtype activations = b->graph->activations;
    b->graph->activations = DTYPE_F32;
    int h = layer_quantize(b, z, "quantize3D.embedding.weight", c->codes);
    h = layer_convolution(b, h, "post_quant_conv_3D", pointwise);
    /* One group a channel: GN(4) on four channels. */
    struct layer_norm norm = {
        .dims = 3, .groups = (int)c->channels, .epsilon = NORM_EPSILON, .silu = true};
    h = layer_norm(b, &h, 1, "SR3D.final_block.0", norm);
    for (int i = 0; i < c->levels; i++) {
        struct layer_convolution up = {.dims = 3,
                                       .kernel = 4,
                                       .depth_stride = 2,
                                       .out = c->channels,
                                       .replicate = true,
                                       .transposed = true};
        h = layer_convolution(b, h, KEY("SR3D.conv_blocks.%d.up.convt", i), up);
        h = residual_block(b, h, KEY("SR3D.conv_blocks.%d.res1", i), (int)c->channels);
    }
    pointwise.dims = 2;
    h = layer_convolution(b, h, "quant_conv", pointwise);
    b->graph->activations = activations;
    return h;
}
