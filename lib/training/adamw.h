/* AdamW (Loshchilov and Hutter, ICLR 2019) with clipping of the gradient's norm (MODEL.md
 * "Training"): the update of all parameters that learn. */
#ifndef OCTPIPE_TRAINING_ADAMW_H
#define OCTPIPE_TRAINING_ADAMW_H

#include "lib/models/parameters.h"

struct adamw_settings {
    double beta1, beta2, epsilon;
    double decay; /* of the weights, times the learning rate */
    double clip;  /* bound of the gradient's norm; INFINITY: none */
};

struct adamw {
    const struct parameters *parameters; /* not owned */
    const struct backend *backend;       /* theirs */
    struct adamw_settings settings;
    int64_t updates; /* made so far */
    int64_t count;   /* elements of the parameters that learn */
    float *m, *v; /* both moments of those, one parameter after another, as memory.h makes them */
    const float **gradient; /* of each of them, and how long it is */
    int64_t *length, lengths;
};

/* Moments of zero for the parameters that have a gradient now; none may be added afterwards. */
int adamw_create(struct adamw *adamw, const struct parameters *parameters,
                 const struct adamw_settings *settings, struct error *error);
void adamw_destroy(struct adamw *adamw); /* {0} is fine */

/* ‖scale·gradient‖ over all parameters; NaN where the device fails. */
double adamw_norm(const struct adamw *adamw, double scale);

/* Update with the gradients times `scale`, of norm `norm`, at this learning rate. The gradients
 * stay as they are. */
void adamw_update(struct adamw *adamw, double rate, double scale, double norm);

/* Linear warm-up: the learning rate of update n = 0, 1, … is rate·min(1, (n + 1)/steps). */
double adamw_warm_up(double rate, int64_t steps, int64_t n);

#endif
