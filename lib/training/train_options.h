/* The options that all training programs share. */
#ifndef OCTPIPE_TRAINING_TRAIN_OPTIONS_H
#define OCTPIPE_TRAINING_TRAIN_OPTIONS_H

#include "lib/io/filter.h"

struct train_options {
    int64_t steps;  /* 0: until stopped */
    double minutes; /* 0: no bound */
    int64_t batch, accumulate, warm_up, held_out, seed;
    double rate, beta2, decay, clip, ema;
    int64_t validate_every, log_every; /* steps */
    double checkpoint_minutes;
    int64_t memory; /* bytes to plan for; 0: no bound */
};

/* What all programs' settings begin with. */
#define TRAIN_DEFAULTS                                                                             \
    .accumulate = 4, .held_out = 1, .validate_every = 500, .log_every = 10, .checkpoint_minutes = 10

/* What every training program's page says. */
#define TRAIN_DETAILS                                                                              \
    "Beside -o NAME.safetensors stand NAME.checkpoint, from which the same command continues a "   \
    "run bit for bit, on any number of threads, NAME.tsv, the log for plot-log, and NAME.png, a "  \
    "picture of what is held out. SIGINT and SIGTERM let the step finish and save; a second one "  \
    "ends the program at once. A run whose loss or gradient is not finite, or whose loss "         \
    "explodes, stops and leaves the last checkpoint."

/* clang-format off */
#define TRAIN_OPTIONS(options)                                                                     \
    {.name = "weights", .letter = 'w', .type = OPTION_STRING, .target = &filter_settings.weights,  \
     .argument = "FILE", .required = true, .meaning = "safetensors file with the weights to "      \
     "start from"},                                                                                \
    {.name = "steps", .type = OPTION_INT, .target = &(options).steps, .argument = "N",             \
     .low = 1, .high = 6e7, .unset = "until stopped", .no_result = true,                           \
     .meaning = "steps in all, those of a continued run included"},                                \
    {.name = "minutes", .type = OPTION_REAL, .target = &(options).minutes, .argument = "X",        \
     .low = 0, .high = 1e7, .unset = "no bound", .no_result = true,                                \
     .meaning = "stop after this time, to be continued"},                                          \
    {.name = "batch", .type = OPTION_INT, .target = &(options).batch, .argument = "N",             \
     .low = 1, .high = 4096, .meaning = "samples at a time"},                                      \
    {.name = "accumulate", .type = OPTION_INT, .target = &(options).accumulate, .argument = "N",   \
     .low = 1, .high = 4096, .meaning = "batches whose gradients make one step"},                  \
    {.name = "learning-rate", .type = OPTION_REAL, .target = &(options).rate, .argument = "X",     \
     .low = 1e-12, .high = 1, .meaning = "learning rate of AdamW"},                                \
    {.name = "warm-up", .type = OPTION_INT, .target = &(options).warm_up, .argument = "N",         \
     .low = 0, .high = 1e9, .meaning = "steps in which the learning rate rises"},                  \
    {.name = "beta2", .type = OPTION_REAL, .target = &(options).beta2, .argument = "X",            \
     .low = 0, .high = 0.99999999, .meaning = "decay of AdamW's second moment"},                   \
    {.name = "weight-decay", .type = OPTION_REAL, .target = &(options).decay, .argument = "X",     \
     .low = 0, .high = 1, .meaning = "weight decay of AdamW"},                                     \
    {.name = "clip-norm", .type = OPTION_CLIP, .target = &(options).clip, .argument = "X|none",    \
     .meaning = "bound of the gradient's norm"},                                                   \
    {.name = "ema", .type = OPTION_REAL, .target = &(options).ema, .argument = "X",                \
     .low = 0, .high = 0.99999999, .meaning = "decay of the averaged weights; 0 for none"},        \
    {.name = "seed", .type = OPTION_INT, .target = &(options).seed, .argument = "S",               \
     .low = 0, .high = 9e15, .meaning = "seed of order, crops and noise"},                         \
    {.name = "held-out", .type = OPTION_INT, .target = &(options).held_out, .argument = "N",       \
     .low = 0, .high = 1e9, .meaning = "volumes, the last ones, kept for validation"},             \
    {.name = "validate-every", .type = OPTION_INT, .target = &(options).validate_every,            \
     .argument = "N", .low = 1, .high = 1e9, .no_result = true,                                    \
     .meaning = "steps between validations"},                                                      \
    {.name = "log-every", .type = OPTION_INT, .target = &(options).log_every, .argument = "N",     \
     .low = 1, .high = 1e9, .no_result = true, .meaning = "steps a row of the log is the mean of"},\
    {.name = "checkpoint-minutes", .type = OPTION_REAL, .target = &(options).checkpoint_minutes,   \
     .argument = "X", .low = 0, .high = 1e6, .no_result = true,                                    \
     .meaning = "minutes between checkpoints"},                                                    \
    DEVICE_OPTIONS,                                                                                \
    {.name = "output", .letter = 'o', .type = OPTION_STRING, .target = &filter_settings.output,    \
     .argument = "FILE", .required = true, .no_result = true,                                      \
     .meaning = "where to write the trained weights"},                                             \
    FILTER_MANNERS
/* clang-format on */

#endif
