#include "lib/models/preset.h"

#include "lib/models/denoiser.h"

#include <stddef.h>

const struct preset presets[] = {
    {SAMPLER_DDIM, DENOISER_DDIM_STEPS, 1},
    {SAMPLER_DPM, 10, 3},
};
const char *const preset_names[] = {"paper", "fast", NULL};
