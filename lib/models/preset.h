/* How much work a cascade takes, chosen by one word: --preset of diffuse3d, refine-slice and
 * decode-multislice. */
#ifndef OCTPIPE_MODELS_PRESET_H
#define OCTPIPE_MODELS_PRESET_H

#include "lib/diffusion/sampler.h"

struct preset {
    enum sampler_kind sampler;
    int64_t steps;
    int64_t hop; /* of the decoder's windows */
};

/* `paper`, and `fast`: the fastest that docs/pipelines.md finds within 2 % of the best Fréchet
 * distance. */
extern const struct preset presets[];
extern const char *const preset_names[]; /* of the same order; NULL ends them */

#endif
