/* Everything that a training run changes, and the files that hold it: the checkpoint, from which a
 * run goes on, and the weights that it trains. */
#ifndef OCTPIPE_TRAINING_STATE_H
#define OCTPIPE_TRAINING_STATE_H

#include "lib/models/weights.h"
#include "lib/training/adamw.h"
#include "lib/training/ema.h"

/* Set 0 is what is trained, set 1, where there is one, its discriminator. */
enum { STATE_SETS = 2, STATE_NUMBERS = 4 };

struct training_state {
    int64_t step; /* made so far */
    int sets;
    struct parameters *parameters[STATE_SETS]; /* not owned */
    struct adamw adamw[STATE_SETS];
    struct ema ema;               /* of set 0 */
    double number[STATE_NUMBERS]; /* what the loop remembers from step to step */
};

void state_destroy(struct training_state *state); /* not the parameters */

/* Bytes of a set of parameters with gradients and moments, and with averages where asked. */
int64_t state_bytes(const struct parameters *parameters, bool averaged);

/* Write a checkpoint of the run that `command` names. */
int state_save(const struct training_state *state, const char *command, const char *path,
               struct error *error);

/* Take up a checkpoint: 1, or 0 where there is no file. A checkpoint of another command, or whose
 * tensors are not these parameters, is an error. */
int state_load(struct training_state *state, const char *command, const char *path,
               struct error *error);

/* Write the weights: the tensors of the file they began as, trained ones in f32, the averages under
 * "model_ema.", the discriminator under "loss.discriminator."; its metadata with what has been
 * declared (weights_declare_metadata). */
int state_write_weights(const struct training_state *state, const struct weights *weights,
                        const char *path, struct error *error);

#endif
