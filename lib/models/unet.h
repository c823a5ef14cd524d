/* The diffusion U-Nets: ADM's (MODEL.md "Diffusion networks"), 3-D for the global latent, 2-D for
 * the slice refiner. */
#ifndef OCTPIPE_MODELS_UNET_H
#define OCTPIPE_MODELS_UNET_H

#include "lib/models/layers.h"

enum { UNET_LEVELS = 8 };

struct unet_config {
    int dims; /* 2 or 3 */
    int64_t in_channels, out_channels, width;
    int levels, blocks;
    int64_t channels[UNET_LEVELS];
    bool attention[UNET_LEVELS];
    int heads, groups;
};

/* From names and shapes; heads (8) and groups (32) from the metadata. */
int unet_read(struct unet_config *config, struct weights *weights, struct error *error);

/* x (n, d, h, w, in_channels), timesteps (n or 1, 1, 1, 1, 1) f32 → (n, d, h, w, out_channels)
 * f32. Extents are multiples of 2^(levels−1) (d only in 3-D). */
int unet_build(struct builder *b, const struct unet_config *config, int x, int timesteps);

#endif
