#include "lib/models/sampler_options.h"

#include <math.h>

struct sampler_options sampler_options = {.clip = NAN};
const char *const sampler_names[] = {"ddim", "ddpm", "dpm++", NULL};

struct denoiser_settings sampler_options_settings(enum random_stage initial, enum random_stage step)
{
    return (struct denoiser_settings){.sampler = (enum sampler_kind)sampler_options.sampler,
                                      .steps = sampler_options.steps,
                                      .eta = sampler_options.eta,
                                      .clip = sampler_options.clip,
                                      .start = sampler_options.start,
                                      .seed = (uint64_t)sampler_options.seed,
                                      .initial = initial,
                                      .step = step};
}
