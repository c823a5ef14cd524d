/* What trained weights say of their making: history, data, and which run a checkpoint belongs to.
 */
#ifndef OCTPIPE_TRAINING_PROVENANCE_H
#define OCTPIPE_TRAINING_PROVENANCE_H

#include "lib/models/weights.h"
#include "lib/training/dataset.h"

/* Declare the metadata `history` (that of the weights, then the command), `data` (a line for each
 * array: file, type, shape, checksum) and `data_history` (that of the first array, where it has
 * one). *run becomes the run's name, command and data in one line, which the caller frees. */
int provenance_declare(struct weights *weights, const struct dataset *data, const char *command,
                       char **run, struct error *error);

#endif
