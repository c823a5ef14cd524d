/* The 2-D auto-encoder of latent diffusion and the multi-slice decoder grown from it (paper,
 * section on multi-slice decoding; MODEL.md "Parts"). */
#ifndef OCTPIPE_MODELS_AUTOENCODER2D_H
#define OCTPIPE_MODELS_AUTOENCODER2D_H

#include "lib/models/layers.h"

enum { AUTOENCODER_LEVELS = 8 };

struct autoencoder2d_config {
    int levels, blocks;                /* blocks of an encoder level; the decoder has one more */
    int64_t width[AUTOENCODER_LEVELS]; /* channels of each level, the finest first */
    int64_t first;                     /* channels that the encoder's conv_in makes */
    int64_t channels, codes;
    int groups;
    bool adaptors;            /* 3-D adaptors: the multi-slice decoder */
    struct layer_slices kept; /* of a window: the decoder makes no others */
};

int encoder2d_read(struct autoencoder2d_config *config, struct weights *weights,
                   struct error *error);
int decoder2d_read(struct autoencoder2d_config *config, struct weights *weights,
                   struct error *error);

/* x (n, d, h, w, 1) in [−1,1] → z_hr (n, d, h/2^(levels−1), …, channels) f32, after quant_conv. */
int encoder2d_build(struct builder *b, const struct autoencoder2d_config *config, int x);

/* The same up to the last hidden map, what conv_out reads after norm and SiLU: x →
 * (n, d, h/2^(levels−1), …, width[levels−1]) in the graph's type. */
int encoder2d_features_build(struct builder *b, const struct autoencoder2d_config *config, int x);

/* z_hr (n, d, h', w', channels) f32 → slices (n, d, h'·2^(levels−1), …, 1) f32, not clamped.
 * With adaptors the d slices of a sample are one window. With config->kept (n is 1) the output has
 * these slices alone, the same as without: what only others need is left out, which starts at the
 * finest level's last adaptor, since its norm's statistics run over the whole window. */
int decoder2d_build(struct builder *b, const struct autoencoder2d_config *config, int z);

#endif
