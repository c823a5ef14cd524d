#include "lib/checkpoint/part.h"

#include "lib/models/autoencoder2d.h"
#include "lib/models/discriminator.h"
#include "lib/models/inception.h"
#include "lib/models/lpips.h"
#include "lib/models/nhae.h"
#include "lib/models/unet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const part_names[] = {
    "nhae",          "ldm3d",     "refiner", "multislice", "autoencoder2d",
    "discriminator", "inception", "vgg16",   "lpips",      NULL};

enum { ANCHORS = 3, PICTURE = 16 /* the least height and width that LPIPS' poolings halve */ };

static const char torchvision[] = "features.0.weight";

static const char *const anchors[][ANCHORS + 1] = {
    [PART_NHAE] = {"encoder3D.conv_first.conv.weight"},
    [PART_LDM3D] = {"time_embed.0.weight"},
    [PART_REFINER] = {"time_embed.0.weight"},
    [PART_MULTISLICE] = {"decoder.conv_in_3d.weight"},
    [PART_AUTOENCODER2D] = {"encoder.conv_in.weight"},
    [PART_DISCRIMINATOR] = {"main.0.weight"},
    [PART_INCEPTION] = {inception_anchor},
    [PART_VGG16] = {"net.slice1.0.weight", torchvision},
    [PART_LPIPS] = {"net.slice1.0.weight", torchvision, "lin0.model.1.weight"},
};

const char *part_anchor(enum part part, int after)
{
    return anchors[part][after];
}

const char *part_prefix(enum part part)
{
    return part == PART_LDM3D || part == PART_REFINER ? "model." : "";
}

/* Layers of VGG-16's features from which on a tensor is in the next slice (lib/models/lpips.h). */
static int slice_of(long layer)
{
    return layer < 4 ? 1 : layer < 9 ? 2 : layer < 16 ? 3 : layer < 23 ? 4 : 5;
}

bool part_has(enum part part, const char *name)
{
    return part != PART_VGG16 || !strncmp(name, "net.", 4);
}

bool part_rename(enum part part, const char *anchor, const char *name, char *renamed, int size)
{
    int written;
    if (anchor == torchvision) {
        char *rest;
        if (strncmp(name, "features.", 9))
            return false;
        long layer = strtol(name + 9, &rest, 10);
        written =
            snprintf(renamed, (size_t)size, "net.slice%d.%ld%s", slice_of(layer), layer, rest);
    } else {
        written = snprintf(renamed, (size_t)size, "%s%s", part_prefix(part), name);
    }
    return written < size && part_has(part, renamed);
}

static int picture(struct builder *b, int64_t d, int64_t h, int64_t w)
{
    int x = layer_input(b, 1, d, 1, h, w);
    return layer_channels_last(b, &x, 1, false);
}

static int latent(struct builder *b, int64_t channels)
{
    int z = layer_input(b, 1, 1, channels, 1, 1);
    return layer_channels_last(b, &z, 1, true);
}

static int build_autoencoder2d(struct builder *b, struct weights *found, bool adaptors)
{
    struct autoencoder2d_config encoder, decoder;
    if (decoder2d_read(&decoder, found, b->error))
        return -1;
    decoder2d_build(b, &decoder, latent(b, decoder.channels));
    if (adaptors)
        return 0;
    if (encoder2d_read(&encoder, found, b->error))
        return -1;
    int64_t size = (int64_t)1 << (encoder.levels - 1);
    encoder2d_build(b, &encoder, picture(b, 1, size, size));
    return 0;
}

static int build_nhae(struct builder *b, struct weights *found)
{
    struct encoder3d_config encoder;
    struct latent_sr_config sr;
    if (encoder3d_read(&encoder, found, b->error) || latent_sr_read(&sr, found, b->error))
        return -1;
    int64_t size = (int64_t)1 << encoder.levels;
    encoder3d_build(b, &encoder, picture(b, size, size, size));
    latent_sr_build(b, &sr, latent(b, sr.channels));
    return build_autoencoder2d(b, found, false);
}

static int build_unet(struct builder *b, struct weights *found, int dims)
{
    struct unet_config config;
    if (unet_read(&config, found, b->error))
        return -1;
    if (config.dims != dims ||
        config.in_channels != (dims == 2 ? 2 * config.out_channels : config.out_channels))
        return error_set(b->error, "a %d-D U-Net of %lld channels in and %lld out is another part",
                         config.dims, (long long)config.in_channels,
                         (long long)config.out_channels);
    int64_t size = (int64_t)1 << (config.levels - 1);
    int x = layer_input(b, 1, dims == 3 ? size : 1, config.in_channels, size, size);
    int t = layer_timesteps(b, 1);
    unet_build(b, &config, layer_channels_last(b, &x, 1, false), t);
    return 0;
}

static int build_discriminator(struct builder *b, struct weights *found)
{
    struct discriminator_config config;
    if (discriminator_read(&config, found, b->error))
        return -1;
    int64_t size = (int64_t)8 << config.layers; /* any that the strides leave something of */
    int x = layer_input(b, 1, 1, config.channels, size, size);
    discriminator_build(b, &config, layer_channels_last(b, &x, 1, false));
    return 0;
}

/* With its classes, which no measure reads. */
static int build_inception(struct builder *b, struct weights *found)
{
    struct inception_config config;
    struct weight weight;
    if (inception_read(&config, found, b->error))
        return -1;
    int x = layer_input(b, 1, 1, INCEPTION_COLOURS, INCEPTION_LEAST, INCEPTION_LEAST);
    inception_build(b, &config, layer_channels_last(b, &x, 1, true));
    const struct safetensor *classes = weights_find(found, "fc.weight");
    const int64_t shape[2] = {classes && classes->rank == 2 ? classes->shape[0] : 0,
                              inception_features(&config)};
    return weights_get(b->weights, "fc.weight", 2, shape, &weight, b->error) ||
                   weights_get(b->weights, "fc.bias", 1, shape, &weight, b->error)
               ? -1
               : 0;
}

static int build_lpips(struct builder *b, struct weights *found)
{
    struct lpips_config config;
    if (lpips_read(&config, found, b->error))
        return -1;
    int x = picture(b, 1, PICTURE, PICTURE);
    lpips_build(b, &config, x, picture(b, 1, PICTURE, PICTURE));
    return 0;
}

static int build(struct builder *b, enum part part, struct weights *found)
{
    weights_anchor(b->weights, "", part_prefix(part), "", NULL);
    switch (part) {
    case PART_NHAE:
        return build_nhae(b, found);
    case PART_LDM3D:
        return build_unet(b, found, 3);
    case PART_REFINER:
        return build_unet(b, found, 2);
    case PART_MULTISLICE:
        return build_autoencoder2d(b, found, true);
    case PART_AUTOENCODER2D:
        return build_autoencoder2d(b, found, false);
    case PART_DISCRIMINATOR:
        return build_discriminator(b, found);
    case PART_INCEPTION:
        return build_inception(b, found);
    default:
        return build_lpips(b, found);
    }
}

int part_declare(struct weights **declared, enum part part, struct weights *found,
                 struct error *error)
{
    struct weights *w = weights_declare();
    struct builder b = {graph_create(DTYPE_F32), w, error, false};
    int status = w && b.graph ? build(&b, part, found) : error_set(error, "out of memory");
    graph_destroy(b.graph);
    if (status || b.failed) {
        weights_close(w);
        return -1;
    }
    *declared = w;
    return 0;
}
