/* The loop of training: steps, checkpoints, log, validation, progress. What is trained, and how
 * losses and gradients come about, is a trainer's. */
#ifndef OCTPIPE_TRAINING_TRAIN_LOOP_H
#define OCTPIPE_TRAINING_TRAIN_LOOP_H

#include "lib/io/view.h"
#include "lib/training/state.h"
#include "lib/training/train_options.h"

enum { TRAINER_LOSSES = 8, TRAINER_MEASURES = 2 };

struct trainer {
    void *context;
    const char *const *losses; /* their names, NULL at the end; the first one is watched */

    /* Add the gradients of part `part` of step `step` to the parameters', and give the losses. A
     * step has as many parts as --accumulate says; its gradient is their mean. */
    int (*compute)(void *context, int64_t step, int64_t part, double *losses, struct error *error);

    const char *const *measures; /* of held-out samples, their names, NULL at the end */

    /* Measure held-out samples, the same ones at every step. Gradients may change. NULL: nothing is
     * held out. */
    int (*validate)(void *context, double *measures, struct error *error);

    /* A picture of held-out samples; picture_free frees it. */
    int (*draw)(void *context, struct picture *picture, struct error *error);

    int64_t bytes;                             /* that the trainer holds: networks and batches */
    struct parameters *parameters[STATE_SETS]; /* [1]: NULL, or the discriminator's */
};

/* Make one step: gradients of all parts, their norm's bound, AdamW, averages. losses: the means
 * over the parts; norm: of the gradient of set 0 before it is bounded. A loss or gradient that is
 * not finite, or a loss that has grown far beyond what it was, is an error and leaves the
 * parameters as they are; so does a gradient of zero, for its set (a discriminator before its
 * start). */
int train_step(struct training_state *state, const struct trainer *trainer,
               const struct train_options *options, double *losses, double *norm,
               struct error *error);

/* Train as the options say: continue the run of the checkpoint beside -o, or begin; save; end the
 * program by filter_fail on an error, or by the signal that stopped it. `run` names the run
 * (provenance.h). */
void train_run(struct filter *filter, const struct train_options *options, struct weights *weights,
               const struct trainer *trainer, const char *run);

#endif
