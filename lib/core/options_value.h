/* The value of an option: text to what its target holds. */
#ifndef OCTPIPE_CORE_OPTIONS_VALUE_H
#define OCTPIPE_CORE_OPTIONS_VALUE_H

#include "lib/core/options.h"

/* Set the target of an option from the value given, NULL for a flag. A value of another type or out
 * of its range is refused: −1, with the option and the value named. */
int options_set(const struct option *option, const char *text, struct error *error);

#endif
