/* What the programs that train auto-encoders share. */
#ifndef OCTPIPE_TRAINING_RECONSTRUCTION_OPTIONS_H
#define OCTPIPE_TRAINING_RECONSTRUCTION_OPTIONS_H

#include "lib/training/reconstruction.h"

struct reconstruction_options {
    struct option_shape crop;
    struct reconstruction_settings settings;
};
extern struct reconstruction_options reconstruction_options;

/* clang-format off */
#define RECONSTRUCTION_OPTIONS                                                                     \
    {.name = "discriminator", .type = OPTION_STRING,                                               \
     .target = &reconstruction_options.settings.discriminator, .argument = "FILE",                 \
     .unset = "no adversarial term", .meaning = "discriminator to train along, from init-weights " \
     "discriminator or a training before"},                                                        \
    {.name = "adversarial-start", .type = OPTION_INT,                                              \
     .target = &reconstruction_options.settings.adversarial_start,                                 \
     .argument = "N", .low = 0, .high = 1e9,                                                       \
     .meaning = "steps before the discriminator judges and learns"},                               \
    {.name = "lpips", .type = OPTION_STRING, .target = &reconstruction_options.settings.lpips,     \
     .argument = "FILE", .unset = "no perceptual term",                                            \
     .meaning = "weights of VGG-16 and LPIPS' linear layers"}

/* Of programs whose codebook learns. */
#define CODEBOOK_OPTION                                                                            \
    {.name = "code-warm-up", .type = OPTION_INT,                                                   \
     .target = &reconstruction_options.settings.code_warm_up,                                      \
     .argument = "N", .low = 0, .high = 1e9,                                                       \
     .meaning = "steps in which codes move, at random, to latents at hand"}

/* --crop along `axes`, "H,W", of what a sample is read from, a "slice". */
#define CROP_OPTION(axes, whole)                                                                   \
    {.name = "crop", .type = OPTION_SHAPE, .target = &reconstruction_options.crop,                 \
     .argument = axes, .unset = "whole " whole "s",                                                \
     .meaning = "what is read of a " whole " at a time, at a random place"}
/* clang-format on */

/* MODEL.md "Training", 1. */
#define RECONSTRUCTION_DEFAULTS                                                                    \
    TRAIN_DEFAULTS, .rate = 3e-4, .beta2 = 0.95, .decay = 0.05, .clip = 1

#define RECONSTRUCTION_DETAILS                                                                     \
    "The loss is the mean absolute error, 0.1 times LPIPS, the quantizers' losses, and the "       \
    "adversarial one with the adaptive weight of latent diffusion. --batch is the number of "      \
    "slices decoded at a time. The trained file also holds the discriminator, so that it serves "  \
    "as --discriminator of what is trained next."

/* The whole program: data, weights, trainer, run. */
void reconstruction_filter(struct filter *filter, enum reconstruction_kind kind,
                           struct train_options *options);

#endif
