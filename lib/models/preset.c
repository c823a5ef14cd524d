#include "lib/models/preset.h"

#include "lib/models/denoiser.h"

#include <stddef.h>

const struct preset presets[] = {
    {SAMPLER_DDIM, DENOISER_DDIM_STEPS, 1},
    {SAMPLER_DDIM, 20, 3},
};
const char *const preset_names[] = {"paper", "fast", NULL};
