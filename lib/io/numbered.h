/* Names of the files that a filter writes one for each array of its input. */
#ifndef OCTPIPE_IO_NUMBERED_H
#define OCTPIPE_IO_NUMBERED_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The name of file `index`, which the caller frees. A pattern holds one %d, or %03d and the like
 * (%% is a percent sign). Without one the name is the pattern's own, and with `several` files
 * -000, -001, … stands before its extension. */
int numbered_name(char **name, const char *pattern, int64_t index, bool several,
                  struct error *error);

#endif
