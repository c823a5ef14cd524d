/* Which sample a step sees, and the random numbers that go with it: functions of the seed and the
 * sample's place in the run alone, so that a run that is continued goes on as if it had not
 * stopped.
 */
#ifndef OCTPIPE_TRAINING_ORDER_H
#define OCTPIPE_TRAINING_ORDER_H

#include "lib/core/error.h"
#include "lib/core/random.h"

/* The `array` field of training's random keys: what a number is for. */
enum order_purpose {
    ORDER_PERMUTATION,
    ORDER_NOISE,
    ORDER_TIMESTEP,
    ORDER_CROP,
    ORDER_VALIDATION_NOISE,
    ORDER_CODES,
};

/* Samples come in epochs; each is a permutation of all items. */
struct order {
    uint64_t seed;
    int64_t items, epoch; /* epoch at hand; −1: none yet */
    int64_t *permutation; /* (items) */
};

int order_create(struct order *order, uint64_t seed, int64_t items, struct error *error);
void order_destroy(struct order *order); /* {0} is fine */

/* The item that is sample n = 0, 1, … of the run. */
int64_t order_item(struct order *order, int64_t n);

/* A whole number from 0 to below − 1 (below < 2^32), number i of a sample of a step. */
int64_t order_below(uint64_t seed, enum order_purpose purpose, int64_t step, int64_t sample,
                    int64_t i, int64_t below);

#endif
