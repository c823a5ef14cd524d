#include "lib/models/sampler_options.h"

#include <math.h>

struct sampler_options sampler_options = {.sampler = -1, .clip = NAN};
const char *const sampler_names[] = {"ddim", "ddpm", "dpm++", NULL};

struct denoiser_settings sampler_options_settings(enum random_stage initial, enum random_stage step)
{
    const struct preset *preset = &presets[sampler_options.preset];
    bool own = sampler_options.sampler >= 0;
    enum sampler_kind sampler = own ? (enum sampler_kind)sampler_options.sampler : preset->sampler;
    int64_t steps = own ? 0 : preset->steps;
    return (struct denoiser_settings){.sampler = sampler,
                                      .steps =
                                          sampler_options.steps ? sampler_options.steps : steps,
                                      .eta = sampler_options.eta,
                                      .clip = sampler_options.clip,
                                      .start = sampler_options.start,
                                      .seed = (uint64_t)sampler_options.seed,
                                      .initial = initial,
                                      .step = step};
}
