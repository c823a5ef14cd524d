/* LPIPS, the perceptual distance of auto-encoder training: VGG-16 features compared channel by
 * channel (MODEL.md "Training": with the `lin` layers; inputs of one channel are repeated to
 * three). Its weights are constants: a file opened by
 * itself, not to be trained. */
#ifndef OCTPIPE_MODELS_LPIPS_H
#define OCTPIPE_MODELS_LPIPS_H

#include "lib/models/layers.h"

enum { LPIPS_STAGES = 5 };

struct lpips_config {
    int64_t width[LPIPS_STAGES]; /* channels of each stage's convolutions */
};

/* From names and shapes ("net.slice1.0.weight", "lin0.model.1.weight", …). */
int lpips_read(struct lpips_config *config, struct weights *weights, struct error *error);

/* x, y (n, d, h, w, 1) in [−1,1] → their distance, the mean over slices, a scalar. h and w are at
 * least 16. */
int lpips_build(struct builder *b, const struct lpips_config *config, int x, int y);

#endif
