/* From checkpoints of PyTorch to a weight file of ours: the tensors that a part's networks ask
 * for, under the names that they read. */
#ifndef OCTPIPE_CHECKPOINT_IMPORT_H
#define OCTPIPE_CHECKPOINT_IMPORT_H

#include "lib/checkpoint/checkpoint.h"
#include "lib/checkpoint/part.h"

struct import_settings {
    enum part part;
    int64_t heads, groups; /* for the metadata; 0: the networks' defaults, left out */
    bool ema;            /* averages (model_ema.…) take the place of what they are averages of */
    int64_t memory;      /* as the limit of checkpoint_copy */
    const char *command; /* for the history */
};

struct import_report {
    int64_t tensors, averages, left_out; /* written, of them averages; tensors of no use */
    int64_t bytes;
};

/* Read the checkpoints, whose tensors are taken together, check names, types and shapes against
 * the part's networks, and write the safetensors file `path`. Types stay, but F64 becomes F32.
 * Averages that the checkpoints hold are written too, under model_ema.…, all of them or none;
 * with settings->ema they alone. Reasons name the file; missing tensors are counted and named. */
int import_checkpoints(const struct import_settings *settings, struct checkpoint *checkpoint,
                       int64_t count, const char *path, struct import_report *report,
                       struct error *error);

#endif
