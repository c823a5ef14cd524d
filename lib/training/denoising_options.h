/* What the programs that train a diffusion network share. */
#ifndef OCTPIPE_TRAINING_DENOISING_OPTIONS_H
#define OCTPIPE_TRAINING_DENOISING_OPTIONS_H

#include "lib/training/train_options.h"

#include <math.h>

struct denoising_options {
    int parameterization, loss; /* indices; parameterization 0: from the weights */
    const char *schedule;
    int64_t timesteps;
    double latent_scale;
};
extern struct denoising_options denoising_options;
extern const char *const denoising_parameterizations[], *const denoising_losses[];

/* clang-format off */
#define DENOISING_OPTIONS                                                                          \
    {.name = "predict", .type = OPTION_CHOICE, .target = &denoising_options.parameterization,      \
     .choices = denoising_parameterizations, .meaning = "what the network tells: the noise, v, or "\
     "the flow from latent to noise; weights is what their metadata says"},                        \
    {.name = "loss", .type = OPTION_CHOICE, .target = &denoising_options.loss,                     \
     .choices = denoising_losses, .meaning = "mean absolute or squared error"},                    \
    {.name = "schedule", .type = OPTION_STRING, .target = &denoising_options.schedule,             \
     .argument = "NAME", .unset = "from the weights", .meaning = "noise schedule: linear, "        \
     "\"linear A B\", cosine, straight"},                                                          \
    {.name = "timesteps", .type = OPTION_INT, .target = &denoising_options.timesteps,              \
     .argument = "N", .low = 2, .high = 1e6, .unset = "from the weights, else 1000",               \
     .meaning = "timesteps of the diffusion process"},                                             \
    {.name = "latent-scale", .type = OPTION_REAL, .target = &denoising_options.latent_scale,       \
     .argument = "X", .low = 1e-6, .high = 1e6, .unset = "from the weights, else 1 over the "      \
     "deviation of the latents", .meaning = "the network sees latents times this; 1 for weights "  \
     "whose metadata is silent and that are trained already"}
/* clang-format on */

/* MODEL.md "Training", 3 and 4. */
#define DENOISING_DEFAULTS                                                                         \
    TRAIN_DEFAULTS, .beta2 = 0.999, .decay = 0.01, .clip = INFINITY, .warm_up = 10000

#define DENOISING_DETAILS                                                                          \
    "What the metadata of the weights says of the diffusion process is kept; options replace it, " \
    "and the trained weights say what they were trained for, so that the samplers follow: "        \
    "parameterization, schedule, timesteps, latent_scale, clip."

/* The whole program: data, weights, trainer, run. dims: 3, or 2 with pairs of latents. */
void denoising_filter(struct filter *filter, int dims, struct train_options *options);

#endif
