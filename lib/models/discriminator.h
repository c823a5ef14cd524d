/* The PatchGAN discriminator of auto-encoder training (MODEL.md "Training"). */
#ifndef OCTPIPE_MODELS_DISCRIMINATOR_H
#define OCTPIPE_MODELS_DISCRIMINATOR_H

#include "lib/models/layers.h"

enum { DISCRIMINATOR_LAYERS = 8 };

struct discriminator_config {
    int64_t channels;                    /* of the picture */
    int64_t width[DISCRIMINATOR_LAYERS]; /* of the convolutions but the last, which makes 1 */
    int layers;
};

/* From names and shapes ("main.0.weight", …). */
int discriminator_read(struct discriminator_config *config, struct weights *weights,
                       struct error *error);

/* x (n, d, h, w, channels) → logits (n, d, h/4 − 2, w/4 − 2, 1) f32 with three layers before the
 * last. Batch norm in training mode, so real and fake pictures go through by themselves. */
int discriminator_build(struct builder *b, const struct discriminator_config *config, int x);

#endif
