#include "lib/models/sampler_options.h"

#include <math.h>

struct sampler_options sampler_options = {.sampler = -1, .clip = NAN};
const char *const preset_names[] = {"paper", "fast", NULL};
const char *const sampler_names[] = {"ddim", "ddpm", "dpm++", NULL};

/* Of preset_names. What `fast` loses is measured in docs/pipelines.md. */
static const struct {
    enum sampler_kind sampler;
    int64_t steps;
} presets[] = {{SAMPLER_DDIM, DENOISER_DDIM_STEPS}, {SAMPLER_DPM, 10}};

struct denoiser_settings sampler_options_settings(enum random_stage initial, enum random_stage step)
{
    bool own = sampler_options.sampler >= 0;
    int64_t steps = own ? 0 : presets[sampler_options.preset].steps;
    return (struct denoiser_settings){.sampler = own ? (enum sampler_kind)sampler_options.sampler
                                                     : presets[sampler_options.preset].sampler,
                                      .steps =
                                          sampler_options.steps ? sampler_options.steps : steps,
                                      .eta = sampler_options.eta,
                                      .clip = sampler_options.clip,
                                      .start = sampler_options.start,
                                      .seed = (uint64_t)sampler_options.seed,
                                      .initial = initial,
                                      .step = step};
}
