/* The options that diffuse3d and refine-slice share. */
#ifndef OCTPIPE_MODELS_SAMPLER_OPTIONS_H
#define OCTPIPE_MODELS_SAMPLER_OPTIONS_H

#include "lib/core/options.h"
#include "lib/models/denoiser.h"
#include "lib/models/preset.h"

struct sampler_options {
    int preset;  /* index into preset_names */
    int sampler; /* index into sampler_names: enum sampler_kind; -1: the preset's */
    int64_t steps, start, seed;
    double eta, clip;
};
extern struct sampler_options sampler_options;
extern const char *const sampler_names[];

/* clang-format off */
#define SAMPLER_OPTIONS                                                                            \
    {.name = "preset", .type = OPTION_CHOICE, .target = &sampler_options.preset,                   \
     .choices = preset_names,                                                                      \
     .meaning = "sampler and steps together: ddim with 200, or with 20"},                          \
    {.name = "sampler", .type = OPTION_CHOICE, .target = &sampler_options.sampler,                 \
     .choices = sampler_names, .unset = "the preset's",                                            \
     .meaning = "DDIM, ancestral DDPM, or DPM-Solver++(2M)"},                                      \
    {.name = "steps", .type = OPTION_INT, .target = &sampler_options.steps, .argument = "N",       \
     .low = 1, .high = 100000,                                                                     \
     .unset = "the preset's; with --sampler 200 for ddim, 20 for dpm++, all for ddpm",             \
     .meaning = "calls of the network; for ddim a divisor of the timesteps (1000)"},               \
    {.name = "eta", .type = OPTION_REAL, .target = &sampler_options.eta, .argument = "X",          \
     .low = 0, .high = 1, .meaning = "noise added at each step of ddim; 0 is deterministic"},      \
    {.name = "clip", .type = OPTION_CLIP, .target = &sampler_options.clip, .argument = "X|none",   \
     .unset = "from the weights, else 1", .meaning = "bound of the predicted clean latent"},       \
    {.name = "start", .type = OPTION_INT, .target = &sampler_options.start, .argument = "T",       \
     .low = 0, .high = 99999, .unset = "pure noise",                                               \
     .meaning = "begin from the input noised to timestep T, and take only the steps below"},       \
    {.name = "seed", .type = OPTION_INT, .target = &sampler_options.seed, .argument = "S",         \
     .low = 0, .high = 9e15, .meaning = "seed of the noise"}
/* clang-format on */

/* The denoiser's settings from these options. */
struct denoiser_settings sampler_options_settings(enum random_stage initial,
                                                  enum random_stage step);

#endif
