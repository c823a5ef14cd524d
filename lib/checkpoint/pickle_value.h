/* How the values of a pickle are made; for lib/checkpoint/pickle*.c. */
#ifndef OCTPIPE_CHECKPOINT_PICKLE_VALUE_H
#define OCTPIPE_CHECKPOINT_PICKLE_VALUE_H

#include "lib/checkpoint/pickle.h"

/* A new value without items; NULL: one too many, or out of memory, as `error` says. */
struct pickle_value *pickle_new(struct pickle *pickle, enum pickle_kind kind, struct error *error);

/* Add items to a container. */
int pickle_add(struct pickle *pickle, struct pickle_value *container,
               const struct pickle_value *const *item, int64_t count, struct error *error);

/* Add to one of the pickle's lists of values. */
int pickle_list(const struct pickle_value ***list, int64_t *count, int64_t *capacity,
                const struct pickle_value *value, struct error *error);

#endif
