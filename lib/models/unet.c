#include "lib/models/unet.h"

#include <math.h>

#define NORM_EPSILON 1e-5f

/* A network under construction: what every block needs. `stack` holds the skips. */
enum { SKIPS = 64 };

struct unet {
    struct builder *b;
    const struct unet_config *config;
    int embedding; /* (n or 1, 1, 1, 1, 4·width), before its SiLU */
    int skip[SKIPS], skips;
};

/* Entries of `part` ("input_blocks"), one conv or block each. */
static int count_entries(const struct weights *w, const char *part)
{
    int count = 0;
    while (weights_find(w, KEY("%s.%d.0.in_layers.2.weight", part, count)) ||
           weights_find(w, KEY("%s.%d.0.weight", part, count)))
        count++;
    return count;
}

/* Up blocks end all levels but one, so they count the levels; each level has blocks + 1 entries. */
static int read_levels(struct unet_config *c, const struct weights *w)
{
    int entries = count_entries(w, "output_blocks");
    c->levels = 1;
    for (int i = 0; i < entries; i++)
        if (weights_find(w, KEY("output_blocks.%d.1.in_layers.2.weight", i)) ||
            weights_find(w, KEY("output_blocks.%d.2.in_layers.2.weight", i)))
            c->levels++;
    if (c->levels > UNET_LEVELS || entries % c->levels || entries < 2 * c->levels ||
        count_entries(w, "input_blocks") != entries)
        return -1;
    c->blocks = entries / c->levels - 1;
    for (int level = 0; level < c->levels; level++) {
        int entry = 1 + level * (c->blocks + 1);
        const struct safetensor *kernel =
            weights_find(w, KEY("input_blocks.%d.0.in_layers.2.weight", entry));
        if (!kernel || kernel->rank < 1)
            return -1;
        c->channels[level] = kernel->shape[0];
        c->attention[level] = weights_find(w, KEY("input_blocks.%d.1.qkv.weight", entry)) != NULL;
    }
    return 0;
}

int unet_read(struct unet_config *c, struct weights *w, struct error *error)
{
    int64_t heads, groups;
    *c = (struct unet_config){0};
    if (weights_anchor(w, "time_embed.0.weight", "model.", "diffusion U-Net", error) ||
        weights_metadata_int(w, "heads", 8, &heads, error) ||
        weights_metadata_int(w, "groups", 32, &groups, error))
        return -1;
    c->heads = (int)heads;
    c->groups = (int)groups;
    const struct safetensor *in = weights_find(w, "input_blocks.0.0.weight");
    const struct safetensor *out = weights_find(w, "out.2.weight");
    if (!in || in->rank < 4 || in->rank > 5 || !out || out->rank != in->rank)
        return error_set(error, "input_blocks.0.0 or out.2 is not a 2-D or 3-D convolution");
    c->dims = in->rank - 2;
    c->width = in->shape[0];
    c->in_channels = in->shape[1];
    c->out_channels = out->shape[0];
    if (read_levels(c, w))
        return error_set(error, "input_blocks and output_blocks do not make the levels of a U-Net");
    return 0;
}

/* h = conv3(silu(GN(x))); GN(h)·(1+scale)+shift, SiLU, conv3; plus x or a 1×1 skip. In an up or
 * down block silu(GN(x)) and x are resampled. x is the concatenation of the sources. */
static int residual_block(struct unet *u, const int *sources, int count, const char *key,
                          int64_t out, enum resampling resampling)
{
    const struct unet_config *c = u->config;
    struct builder *b = u->b;
    int64_t in = 0;
    for (int i = 0; i < count; i++)
        in += layer_channels(b, sources[i]);
    struct layer_norm norm = {.dims = c->dims,
                              .groups = c->groups,
                              .epsilon = NORM_EPSILON,
                              .silu = true,
                              .resampling = resampling};
    struct layer_convolution conv = {.dims = c->dims, .kernel = 3, .out = out};
    int h = layer_norm(b, sources, count, KEY("%s.in_layers.0", key), norm);
    h = layer_convolution(b, h, KEY("%s.in_layers.2", key), conv);
    norm.resampling = RESAMPLE_NONE;
    norm.scale_shift = layer_linear(b, u->embedding, KEY("%s.emb_layers.1", key), 2 * out, true);
    h = layer_norm(b, &h, 1, KEY("%s.out_layers.0", key), norm);
    if (count > 1 || in != out)
        conv.residual =
            layer_concatenated_1x1(b, sources, count, KEY("%s.skip_connection", key), c->dims, out);
    else if (resampling != RESAMPLE_NONE)
        conv.residual = layer_resample(b, sources[0], c->dims, resampling);
    else
        conv.residual = sources[0];
    return layer_convolution(b, h, KEY("%s.out_layers.3", key), conv);
}

/* GN, 1×1 qkv, softmax over all positions, 1×1 proj, plus x. q and k are each scaled by
 * (head width)^−¼, the product by its square. */
static int attention(struct unet *u, int x, const char *key)
{
    const struct unet_config *c = u->config;
    int64_t channels = layer_channels(u->b, x);
    if (channels % c->heads)
        return layer_fail(u->b, "%s: %lld channels do not divide into %d heads", key,
                          (long long)channels, c->heads);
    struct layer_norm norm = {.dims = c->dims, .groups = c->groups, .epsilon = NORM_EPSILON};
    struct layer_convolution qkv = {.dims = 1, .kernel = 1, .out = 3 * channels};
    struct layer_convolution project = {.dims = 1, .kernel = 1, .out = channels, .residual = x};
    int h = layer_norm(u->b, &x, 1, KEY("%s.norm", key), norm);
    h = layer_convolution(u->b, h, KEY("%s.qkv", key), qkv);
    h = layer_attention(u->b, h, c->dims, c->heads,
                        1.0f / sqrtf((float)channels / (float)c->heads));
    return layer_convolution(u->b, h, KEY("%s.proj_out", key), project);
}

static void push(struct unet *u, int x)
{
    if (u->skips == SKIPS)
        layer_fail(u->b, "the U-Net has more than %d skips", SKIPS);
    else
        u->skip[u->skips++] = x;
}

/* Down: `blocks` blocks a level, then a downsampling block as an entry of its own. */
static int down(struct unet *u, int h)
{
    const struct unet_config *c = u->config;
    int entry = 1;
    for (int level = 0; level < c->levels; level++) {
        for (int i = 0; i < c->blocks; i++, entry++) {
            h = residual_block(u, &h, 1, KEY("input_blocks.%d.0", entry), c->channels[level],
                               RESAMPLE_NONE);
            if (c->attention[level])
                h = attention(u, h, KEY("input_blocks.%d.1", entry));
            push(u, h);
        }
        if (level < c->levels - 1) {
            h = residual_block(u, &h, 1, KEY("input_blocks.%d.0", entry++), c->channels[level],
                               RESAMPLE_DOWN);
            push(u, h);
        }
    }
    return h;
}

/* Up: blocks + 1 entries a level on [h, skip]; the last of every level but the finest ends with
 * an upsampling block. */
static int up(struct unet *u, int h)
{
    const struct unet_config *c = u->config;
    int entry = 0;
    for (int level = c->levels - 1; level >= 0; level--)
        for (int i = 0; i <= c->blocks; i++, entry++) {
            int sources[2] = {h, u->skips ? u->skip[--u->skips] : -1}, next = 1;
            h = residual_block(u, sources, 2, KEY("output_blocks.%d.0", entry), c->channels[level],
                               RESAMPLE_NONE);
            if (c->attention[level])
                h = attention(u, h, KEY("output_blocks.%d.%d", entry, next++));
            if (level > 0 && i == c->blocks)
                h = residual_block(u, &h, 1, KEY("output_blocks.%d.%d", entry, next),
                                   c->channels[level], RESAMPLE_UP);
        }
    return h;
}

int unet_build(struct builder *b, const struct unet_config *c, int x, int timesteps)
{
    struct unet u = {.b = b, .config = c};
    u.embedding = layer_timestep_embedding(b, timesteps, c->width);
    u.embedding = layer_linear(b, u.embedding, "time_embed.0", 4 * c->width, false);
    u.embedding = layer_linear(b, u.embedding, "time_embed.2", 4 * c->width, true);

    struct layer_convolution in = {.dims = c->dims, .kernel = 3, .out = c->width};
    int h = layer_convolution(b, x, "input_blocks.0.0", in);
    push(&u, h);
    h = down(&u, h);
    int64_t deepest = c->channels[c->levels - 1];
    h = residual_block(&u, &h, 1, "middle_block.0", deepest, RESAMPLE_NONE);
    h = attention(&u, h, "middle_block.1");
    h = residual_block(&u, &h, 1, "middle_block.2", deepest, RESAMPLE_NONE);
    h = up(&u, h);
    struct layer_norm norm = {
        .dims = c->dims, .groups = c->groups, .epsilon = NORM_EPSILON, .silu = true};
    struct layer_convolution out = {
        .dims = c->dims, .kernel = 3, .out = c->out_channels, .f32 = true};
    h = layer_norm(b, &h, 1, "out.0", norm);
    return layer_convolution(b, h, "out.2", out);
}
