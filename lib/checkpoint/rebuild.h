/* Tensors from the calls that rebuild them; for lib/checkpoint/checkpoint.c. */
#ifndef OCTPIPE_CHECKPOINT_REBUILD_H
#define OCTPIPE_CHECKPOINT_REBUILD_H

#include "lib/checkpoint/checkpoint.h"

/* Does the global have a meaning (lib/checkpoint/checkpoint.h)? */
bool rebuild_knows(const struct pickle_value *global);

/* Fill in all but the name: 1; 0 for plain data (numbers, texts, containers); −1 for what is built
 * by another name, and for a tensor that does not fit its storage. */
int rebuild_tensor(const struct pickle_value *value, struct checkpoint_tensor *tensor,
                   struct error *error);

#endif
