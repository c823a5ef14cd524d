/* NHAE: the 3-D encoder, both quantizers and the latent uniaxial super-resolution (paper,
 * section on the nested auto-encoder; MODEL.md "Parts").
 *
 * A configuration is read from names and shapes of a file, or filled in to declare fresh weights.
 * Builders return the value they make; −1 and builder.failed on an error. */
#ifndef OCTPIPE_MODELS_NHAE_H
#define OCTPIPE_MODELS_NHAE_H

#include "lib/models/layers.h"

enum { NHAE_LEVELS = 8 };

struct encoder3d_config {
    int64_t width;    /* channels of conv_first, doubled by each level */
    int levels;       /* each halves all three axes */
    int64_t channels; /* of the latent */
    int groups;
    bool whole_maps; /* keep the map between the first two convolutions, as gradients need it */
};
int encoder3d_read(struct encoder3d_config *config, struct weights *weights, struct error *error);

/* x (n, d, h, w, 1) f32 in [−1,1] → z before quantization (n, d/2^levels, …, channels) f32. */
int encoder3d_build(struct builder *b, const struct encoder3d_config *config, int x);

struct latent_sr_config {
    int64_t channels, codes;
    int levels; /* each doubles the depth */
};
int latent_sr_read(struct latent_sr_config *config, struct weights *weights, struct error *error);

/* z (n, d', h', w', c) f32 → z_sr (n, d'·2^levels, h', w', c) f32: quantize3D, SR3D, quant_conv;
 * in f32 whatever the graph's type: it is little work. */
int latent_sr_build(struct builder *b, const struct latent_sr_config *config, int z);

#endif
