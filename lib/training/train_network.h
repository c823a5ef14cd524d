/* Networks that learn: a graph with its loss differentiated and planned. */
#ifndef OCTPIPE_TRAINING_TRAIN_NETWORK_H
#define OCTPIPE_TRAINING_TRAIN_NETWORK_H

#include "lib/engine/gradient.h"
#include "lib/models/layers.h"
#include "lib/models/stages.h"

/* A builder of a new graph. */
int train_network_begin(struct builder *builder, struct weights *weights, enum dtype activations,
                        struct error *error);

/* Bytes that may be planned for, 0: no bound, and those of them that others take. */
struct train_memory {
    int64_t allowed, taken;
};

/* Differentiate the sum of `seeds` (lib/engine/gradient.h) and plan the graph within what memory is
 * left. The graph is gone afterwards or the network's. */
int train_network_finish(struct network **network, struct builder *builder,
                         const struct gradient_seed *seeds, int count,
                         const struct backend *backend, struct train_memory memory);

#endif
