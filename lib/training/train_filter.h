/* What every training program opens and closes: data, weights, parameters. */
#ifndef OCTPIPE_TRAINING_TRAIN_FILTER_H
#define OCTPIPE_TRAINING_TRAIN_FILTER_H

#include "lib/models/parameters.h"
#include "lib/models/weights.h"
#include "lib/training/dataset.h"
#include "lib/training/train_options.h"

struct train_filter {
    struct dataset data;
    struct weights *weights; /* set to train `parameters` */
    struct parameters *parameters;
    char *run; /* its name (provenance.h) */
};

/* Open the operands as latents of `channels` channels, or as volumes where it is 0 (dataset_open),
 * and -w; --memory goes into the options. Ends the program on an error. */
void train_filter_open(struct train_filter *train, struct filter *filter, int64_t channels,
                       struct train_options *options);

/* Say the peak memory and close, once the trainer is gone. */
void train_filter_close(struct train_filter *train, struct filter *filter);

#endif
