/* Averaged weights: an exponential moving average of the parameters that learn (MODEL.md
 * "Training", "EMA weights"). */
#ifndef OCTPIPE_TRAINING_EMA_H
#define OCTPIPE_TRAINING_EMA_H

#include "lib/models/parameters.h"

struct ema {
    struct parameters *parameters; /* not owned; NULL: nothing is averaged */
    const struct backend *backend; /* theirs */
    double decay;
    int64_t updates;
    int64_t count;  /* elements of the parameters that learn */
    float *average; /* of those, one parameter after another, as memory.h makes it */
};

/* Start from the parameters as they are. */
int ema_create(struct ema *ema, struct parameters *parameters, double decay, struct error *error);
void ema_destroy(struct ema *ema); /* {0} is fine */

/* average = decay·average + (1 − decay)·value, at update n = 1, 2, … with min(decay, (1 + n)/(10 +
 * n)) for the decay. */
void ema_update(struct ema *ema);
double ema_decay(double decay, int64_t n);

/* Exchange the averages with the parameters' values, so that networks made from now on take the
 * averages; the second call takes it back. */
void ema_swap(struct ema *ema);

#endif
