#include "lib/models/autoencoder2d.h"

#include <math.h>

#define NORM_EPSILON 1e-6f

static int first_extent(const struct weights *w, const char *key, int64_t *extent)
{
    const struct safetensor *tensor = weights_find(w, key);
    if (!tensor || tensor->rank < 1)
        return -1;
    *extent = tensor->shape[0];
    return 0;
}

/* Levels, blocks and widths of `part` ("encoder.down" or "decoder.up"). */
static int read_levels(struct autoencoder2d_config *c, struct weights *w, const char *part,
                       struct error *error)
{
    int64_t groups;
    if (weights_metadata_int(w, "groups", 32, &groups, error))
        return -1;
    c->groups = (int)groups;
    while (
        c->levels < AUTOENCODER_LEVELS &&
        !first_extent(w, KEY("%s.%d.block.0.conv1.weight", part, c->levels), &c->width[c->levels]))
        c->levels++;
    while (weights_find(w, KEY("%s.0.block.%d.conv1.weight", part, c->blocks)))
        c->blocks++;
    if (!c->levels || !c->blocks)
        return error_set(error, "no residual blocks %s.0.block.0", part);
    return 0;
}

int encoder2d_read(struct autoencoder2d_config *c, struct weights *w, struct error *error)
{
    *c = (struct autoencoder2d_config){0};
    if (weights_anchor(w, "encoder.conv_in.weight", "", "2-D encoder", error) ||
        read_levels(c, w, "encoder.down", error))
        return -1;
    if (first_extent(w, "encoder.conv_in.weight", &c->first) ||
        first_extent(w, "encoder.conv_out.weight", &c->channels))
        return error_set(error, "the 2-D encoder lacks conv_in or conv_out");
    return 0;
}

int decoder2d_read(struct autoencoder2d_config *c, struct weights *w, struct error *error)
{
    *c = (struct autoencoder2d_config){0};
    if (weights_anchor(w, "decoder.conv_in.weight", "", "2-D decoder", error) ||
        read_levels(c, w, "decoder.up", error))
        return -1;
    c->blocks--;
    c->adaptors = weights_find(w, "decoder.conv_in_3d.weight") != NULL;
    if (first_extent(w, "quantize.embedding.weight", &c->codes) ||
        first_extent(w, "post_quant_conv.weight", &c->channels))
        return error_set(error, "the 2-D decoder comes without quantize or post_quant_conv");
    return 0;
}

static struct layer_norm norm_of(const struct autoencoder2d_config *c, int dims, bool silu)
{
    return (struct layer_norm){
        .dims = dims, .groups = c->groups, .epsilon = NORM_EPSILON, .silu = silu};
}

/* conv3(silu(GN(·))) twice, plus x (1×1 nin_shortcut where channels change). */
static int residual_block(struct builder *b, const struct autoencoder2d_config *c, int x,
                          const char *key, int64_t out)
{
    struct layer_convolution conv = {.dims = 2, .kernel = 3, .out = out};
    int h = layer_norm(b, &x, 1, KEY("%s.norm1", key), norm_of(c, 2, true));
    h = layer_convolution(b, h, KEY("%s.conv1", key), conv);
    h = layer_norm(b, &h, 1, KEY("%s.norm2", key), norm_of(c, 2, true));
    struct layer_convolution shortcut = {.dims = 2, .kernel = 1, .out = out};
    conv.residual = layer_channels(b, x) == out
                        ? x
                        : layer_convolution(b, x, KEY("%s.nin_shortcut", key), shortcut);
    return layer_convolution(b, h, KEY("%s.conv2", key), conv);
}

/* y = α·conv3d(silu(norm3d(x))) + (1−α)·x over the slices of the window; made for some of them. */
static int adaptor(struct builder *b, const struct autoencoder2d_config *c, int x, const char *key,
                   struct layer_slices slices)
{
    if (!c->adaptors)
        return x;
    struct layer_key mix = layer_key("%s.mix_factor_3d", key);
    int h = layer_norm(b, &x, 1, KEY("%s.norm3d", key), norm_of(c, 3, true));
    struct layer_convolution conv = {.dims = 3,
                                     .kernel = 3,
                                     .out = layer_channels(b, x),
                                     .residual = x,
                                     .mix = mix.text,
                                     .slices = slices};
    return layer_convolution(b, h, KEY("%s.conv3d", key), conv);
}

/* The adaptors of conv_in and conv_out have neither norm nor SiLU. */
static int outer_adaptor(struct builder *b, const struct autoencoder2d_config *c, int x,
                         const char *key, const char *mix, bool f32, struct layer_slices slices)
{
    struct layer_convolution conv = {.dims = 3,
                                     .kernel = 3,
                                     .out = layer_channels(b, x),
                                     .residual = x,
                                     .mix = mix,
                                     .f32 = f32,
                                     .slices = slices};
    return c->adaptors ? layer_convolution(b, x, key, conv) : x;
}

/* One head over a slice: GN, 1×1 q, k, v, scale c^−½, 1×1 proj_out, plus x. */
static int attention(struct builder *b, const struct autoencoder2d_config *c, int x,
                     const char *key)
{
    int64_t channels = layer_channels(b, x);
    struct layer_key q = layer_key("%s.q", key), k = layer_key("%s.k", key),
                     v = layer_key("%s.v", key);
    int h = layer_norm(b, &x, 1, KEY("%s.norm", key), norm_of(c, 2, false));
    h = layer_stacked_1x1(b, h, (const char *const[]){q.text, k.text, v.text}, channels);
    h = layer_attention(b, h, 2, 1, 1.0f / sqrtf((float)channels));
    struct layer_convolution project = {.dims = 2, .kernel = 1, .out = channels, .residual = x};
    return layer_convolution(b, h, KEY("%s.proj_out", key), project);
}

static const struct layer_slices all;

static int middle(struct builder *b, const struct autoencoder2d_config *c, int x, const char *part)
{
    int64_t channels = layer_channels(b, x);
    bool decoder = part[0] == 'd';
    struct layer_key first = layer_key("%s.mid.block_1", part);
    struct layer_key second = layer_key("%s.mid.block_2", part);
    int h = residual_block(b, c, x, first.text, channels);
    h = decoder ? adaptor(b, c, h, first.text, all) : h;
    h = attention(b, c, h, KEY("%s.mid.attn_1", part));
    h = residual_block(b, c, h, second.text, channels);
    return decoder ? adaptor(b, c, h, second.text, all) : h;
}

int encoder2d_features_build(struct builder *b, const struct autoencoder2d_config *c, int x)
{
    struct layer_convolution in = {.dims = 2, .kernel = 3, .out = c->first};
    int h = layer_convolution(b, x, "encoder.conv_in", in);
    for (int level = 0; level < c->levels; level++) {
        for (int i = 0; i < c->blocks; i++)
            h = residual_block(b, c, h, KEY("encoder.down.%d.block.%d", level, i), c->width[level]);
        struct layer_convolution down = {
            .dims = 2, .kernel = 3, .stride = 2, .out = c->width[level], .pad_back_only = true};
        if (level < c->levels - 1)
            h = layer_convolution(b, h, KEY("encoder.down.%d.downsample.conv", level), down);
    }
    h = middle(b, c, h, "encoder");
    return layer_norm(b, &h, 1, "encoder.norm_out", norm_of(c, 2, true));
}

int encoder2d_build(struct builder *b, const struct autoencoder2d_config *c, int x)
{
    int h = encoder2d_features_build(b, c, x);
    struct layer_convolution out = {.dims = 2, .kernel = 3, .out = c->channels, .f32 = true};
    h = layer_convolution(b, h, "encoder.conv_out", out);
    struct layer_convolution quant = {.dims = 2, .kernel = 1, .out = c->channels, .f32 = true};
    return layer_convolution(b, h, "quant_conv", quant);
}

/* What conv_out's adaptor reads to make the kept slices of a window: one more on each side. */
static struct layer_slices neighbourhood(struct layer_slices kept, int64_t window)
{
    if (!kept.count)
        return all;
    int64_t first = kept.first > 0 ? kept.first - 1 : 0, end = kept.first + kept.count + 1;
    return (struct layer_slices){first, (end < window ? end : window) - first};
}

int decoder2d_build(struct builder *b, const struct autoencoder2d_config *c, int z)
{
    struct layer_convolution post = {.dims = 2, .kernel = 1, .out = c->channels};
    struct layer_convolution in = {.dims = 2, .kernel = 3, .out = c->width[c->levels - 1]};
    int64_t window = b->failed ? 1 : graph_tensor(b->graph, z).shape.d;
    struct layer_slices near = neighbourhood(c->kept, window), kept = c->kept;
    /* What the coarse maps round, all finer ones pass on: up to the middle they are f32. */
    enum dtype activations = b->graph->activations;
    b->graph->activations = DTYPE_F32;
    int h = layer_quantize(b, z, "quantize.embedding.weight", c->codes);
    h = layer_convolution(b, h, "post_quant_conv", post);
    h = layer_convolution(b, h, "decoder.conv_in", in);
    h = outer_adaptor(b, c, h, "decoder.conv_in_3d", "decoder.mix_factor_3d_in", false, all);
    h = middle(b, c, h, "decoder");
    b->graph->activations = activations;
    h = layer_cast(b, h, activations);
    for (int level = c->levels - 1; level >= 0; level--) {
        for (int i = 0; i <= c->blocks; i++) {
            struct layer_key key = layer_key("decoder.up.%d.block.%d", level, i);
            h = residual_block(b, c, h, key.text, c->width[level]);
            bool last = level == 0 && i == c->blocks;
            h = adaptor(b, c, h, key.text, last ? near : all);
        }
        struct layer_convolution up = {.dims = 2, .kernel = 3, .out = c->width[level]};
        if (level > 0) {
            h = layer_resample(b, h, 2, RESAMPLE_UP);
            h = layer_convolution(b, h, KEY("decoder.up.%d.upsample.conv", level), up);
        }
    }
    h = layer_norm(b, &h, 1, "decoder.norm_out", norm_of(c, 2, true));
    struct layer_convolution out = {.dims = 2, .kernel = 3, .out = 1, .f32 = true};
    if (c->adaptors)
        kept.first -= near.first;
    else
        out.slices = kept;
    h = layer_convolution(b, h, "decoder.conv_out", out);
    return outer_adaptor(b, c, h, "decoder.conv_out_3d", "decoder.mix_factor_3d_out", true, kept);
}
