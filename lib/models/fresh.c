#include "lib/models/fresh.h"
#include "lib/models/autoencoder2d.h"
#include "lib/models/discriminator.h"
#include "lib/models/inception.h"
#include "lib/models/nhae.h"
#include "lib/models/unet.h"

#include <stdio.h>
#include <string.h>

const char *const fresh_parts[] = {"autoencoder2d", "nhae",          "ldm3d",     "refiner",
                                   "multislice",    "discriminator", "inception", NULL};

/* The paper's sizes (MODEL.md), by part. */
static const struct fresh_settings paper[] = {
    [FRESH_AUTOENCODER2D] =
        {.width = 128, .mults = 4, .mult = {1, 2, 4, 4}, .blocks = 2, .codes = 16384},
    [FRESH_NHAE] = {.width = 64,
                    .width2d = 128,
                    .mults = 4,
                    .mult = {1, 2, 4, 4},
                    .blocks = 2,
                    .codes = 16384,
                    .levels = 2},
    [FRESH_LDM3D] = {.width = 128,
                     .mults = 4,
                     .mult = {1, 2, 4, 8},
                     .blocks = 2,
                     .attentions = 2,
                     .attention = {4, 8}},
    [FRESH_REFINER] = {.width = 192,
                       .mults = 4,
                       .mult = {1, 2, 4, 4},
                       .blocks = 2,
                       .attentions = 3,
                       .attention = {2, 4, 8}},
    [FRESH_MULTISLICE] =
        {.width = 128, .mults = 4, .mult = {1, 2, 4, 4}, .blocks = 2, .codes = 16384},
    [FRESH_DISCRIMINATOR] = {.width = 64, .mults = 3, .mult = {1, 2, 4}},
    [FRESH_INCEPTION] = {.width = INCEPTION_WIDTH},
};

enum { LATENT_CHANNELS = 4, PAPER_HEADS = 8, PAPER_GROUPS = 32 };

static void complete(struct fresh_settings *s)
{
    const struct fresh_settings *p = &paper[s->part];
    s->width = s->width ? s->width : p->width;
    s->width2d = s->part != FRESH_NHAE ? s->width : s->width2d ? s->width2d : p->width2d;
    s->blocks = s->blocks ? s->blocks : p->blocks;
    s->codes = s->codes ? s->codes : p->codes;
    s->levels = s->levels ? s->levels : p->levels;
    s->heads = s->heads ? s->heads : PAPER_HEADS;
    s->groups = s->groups ? s->groups : PAPER_GROUPS;
    if (!s->mults) {
        s->mults = p->mults;
        memcpy(s->mult, p->mult, sizeof s->mult);
    }
    if (s->attentions < 0) {
        s->attentions = p->attentions;
        memcpy(s->attention, p->attention, sizeof s->attention);
    }
}

static void build_autoencoder2d(struct builder *b, const struct fresh_settings *s)
{
    struct autoencoder2d_config config = {.levels = s->mults,
                                          .blocks = (int)s->blocks,
                                          .first = s->width2d,
                                          .channels = LATENT_CHANNELS,
                                          .codes = s->codes,
                                          .groups = (int)s->groups,
                                          .adaptors = s->part == FRESH_MULTISLICE};
    int64_t size = (int64_t)1 << (s->mults - 1);
    for (int i = 0; i < s->mults; i++)
        config.width[i] = s->width2d * s->mult[i];
    weights_anchor(b->weights, "", "", "", NULL);
    int x = layer_input(b, 1, 1, 1, size, size);
    x = layer_channels_last(b, &x, 1, false);
    if (s->part != FRESH_MULTISLICE)
        encoder2d_build(b, &config, x);
    int z = layer_input(b, 1, 1, LATENT_CHANNELS, 1, 1);
    decoder2d_build(b, &config, layer_channels_last(b, &z, 1, true));
}

static void build_nhae(struct builder *b, const struct fresh_settings *s)
{
    struct encoder3d_config encoder = {.width = s->width,
                                       .levels = (int)s->levels,
                                       .channels = LATENT_CHANNELS,
                                       .groups = (int)s->groups};
    struct latent_sr_config sr = {LATENT_CHANNELS, s->codes, (int)s->levels + 1};
    int64_t size = (int64_t)1 << s->levels;
    if (s->mults != sr.levels + 1) {
        layer_fail(b,
                   "%d levels of the 2-D auto-encoder do not match: the 3-D encoder's %d "
                   "halvings of a thumbnail need %d",
                   s->mults, encoder.levels, sr.levels + 1);
        return;
    }
    int x = layer_input(b, 1, size, 1, size, size);
    encoder3d_build(b, &encoder, layer_channels_last(b, &x, 1, false));
    int z = layer_input(b, 1, 1, LATENT_CHANNELS, 1, 1);
    latent_sr_build(b, &sr, layer_channels_last(b, &z, 1, true));
    build_autoencoder2d(b, s);
}

static void build_unet(struct builder *b, const struct fresh_settings *s)
{
    int dims = s->part == FRESH_LDM3D ? 3 : 2;
    struct unet_config config = {.dims = dims,
                                 .in_channels = dims == 3 ? LATENT_CHANNELS : 2 * LATENT_CHANNELS,
                                 .out_channels = LATENT_CHANNELS,
                                 .width = s->width,
                                 .levels = s->mults,
                                 .blocks = (int)s->blocks,
                                 .heads = (int)s->heads,
                                 .groups = (int)s->groups};
    for (int i = 0; i < s->mults; i++) {
        config.channels[i] = s->width * s->mult[i];
        for (int k = 0; k < s->attentions; k++)
            config.attention[i] |= s->attention[k] == (int64_t)1 << i;
    }
    int64_t size = (int64_t)1 << (s->mults - 1);
    weights_anchor(b->weights, "", "model.", "", NULL);
    int x = layer_input(b, 1, dims == 3 ? size : 1, config.in_channels, size, size);
    int t = layer_timesteps(b, 1);
    unet_build(b, &config, layer_channels_last(b, &x, 1, false), t);
}

static void build_discriminator(struct builder *b, const struct fresh_settings *s)
{
    struct discriminator_config config = {.channels = 1, .layers = s->mults};
    int64_t size = (int64_t)8 << s->mults; /* any that the strides leave something of */
    for (int i = 0; i < s->mults; i++)
        config.width[i] = s->width * s->mult[i];
    weights_anchor(b->weights, "", "", "", NULL);
    int x = layer_input(b, 1, 1, 1, size, size);
    discriminator_build(b, &config, layer_channels_last(b, &x, 1, false));
}

static void build_inception(struct builder *b, const struct fresh_settings *s)
{
    struct inception_config config = {.width = s->width};
    if (s->width % 2 || s->width > INCEPTION_WIDTH) {
        layer_fail(b, "a width of %lld: the Inception network's is even and %d at most",
                   (long long)s->width, INCEPTION_WIDTH);
        return;
    }
    weights_anchor(b->weights, "", "", "", NULL);
    int x = layer_input(b, 1, 1, INCEPTION_COLOURS, INCEPTION_LEAST, INCEPTION_LEAST);
    inception_build(b, &config, layer_channels_last(b, &x, 1, true));
}

static int declare_metadata(struct weights *w, const struct fresh_settings *s)
{
    char heads[24], groups[24];
    snprintf(heads, sizeof heads, "%lld", (long long)s->heads);
    snprintf(groups, sizeof groups, "%lld", (long long)s->groups);
    bool unet = s->part == FRESH_LDM3D || s->part == FRESH_REFINER;
    bool grouped = s->part != FRESH_DISCRIMINATOR && s->part != FRESH_INCEPTION;
    return (unet && weights_declare_metadata(w, "heads", heads)) ||
                   (grouped && weights_declare_metadata(w, "groups", groups))
               ? -1
               : 0;
}

int fresh_declare(struct weights **weights, struct fresh_settings *s, struct error *error)
{
    complete(s);
    struct weights *w = weights_declare();
    struct builder b = {graph_create(DTYPE_F32), w, error, false};
    if (!w || !b.graph || declare_metadata(w, s)) {
        layer_fail(&b, "out of memory");
    } else if (s->part == FRESH_LDM3D || s->part == FRESH_REFINER) {
        build_unet(&b, s);
    } else if (s->part == FRESH_DISCRIMINATOR) {
        build_discriminator(&b, s);
    } else if (s->part == FRESH_INCEPTION) {
        build_inception(&b, s);
    } else if (s->part == FRESH_NHAE) {
        build_nhae(&b, s);
    } else {
        build_autoencoder2d(&b, s);
    }
    graph_destroy(b.graph);
    if (b.failed) {
        weights_close(w);
        return -1;
    }
    *weights = w;
    return 0;
}
