/* A training step of each network at the paper's sizes: how long, against a forward pass, and how
 * much memory. */
#ifndef OCTPIPE_BENCH_TRAINING_H
#define OCTPIPE_BENCH_TRAINING_H

#include "lib/models/stages.h"
#include "pipelines/bench/measure.h"

struct training_bench {
    const char *network; /* diffusion3d, refiner, multislice, autoencoder2d or nhae */
    int64_t latent;      /* extent of a latent of a whole volume */
    int64_t memory;      /* bytes, all that the row's plan counts; 0: no bound */
    struct stage_settings settings;
    struct measure_effort effort;
};

/* Print the network's row. A step is the loss (mean absolute error, with quantizers theirs) and the
 * gradients of all weights that learn. Its memory is held as in training: parameters in f32, their
 * gradients, AdamW's two moments. Closes the weights; ends the program on an error. */
void training_report(struct filter *filter, struct weights *weights,
                     const struct training_bench *bench);

#endif
