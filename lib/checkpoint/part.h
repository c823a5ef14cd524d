/* What the networks of a part ask for, and under which names checkpoints hold it. */
#ifndef OCTPIPE_CHECKPOINT_PART_H
#define OCTPIPE_CHECKPOINT_PART_H

#include "lib/models/weights.h"

enum part {
    PART_NHAE,
    PART_LDM3D,
    PART_REFINER,
    PART_MULTISLICE,
    PART_AUTOENCODER2D,
    PART_DISCRIMINATOR,
    PART_INCEPTION,
    PART_VGG16,
    PART_LPIPS,
};
extern const char *const part_names[]; /* in that order, NULL at the end */

/* The tensor by which a part is found in a checkpoint: whatever stands before it is the prefix of
 * all of them, the shortest where there are several. A part may be spread over files, and so have
 * several such tensors; `after` counts them up from 0, NULL ends them. */
const char *part_anchor(enum part part, int after);

/* What our files put before the names of the part: "" or "model.". */
const char *part_prefix(enum part part);

/* Our name of a tensor that stands under the prefix of the anchor as `name`: the name itself, but
 * for torchvision's VGG-16, whose features.5.weight is LPIPS' net.slice2.5.weight. False: the
 * part has no such tensor, or `size` is too small. */
bool part_rename(enum part part, const char *anchor, const char *name, char *renamed, int size);

/* Is our name one of the part's? VGG-16 is LPIPS without its linear layers. */
bool part_has(enum part part, const char *name);

/* List the tensors that the part's networks ask for, of the sizes that `found` (names after
 * part_rename, metadata heads and groups) shows. */
int part_declare(struct weights **declared, enum part part, struct weights *found,
                 struct error *error);

#endif
