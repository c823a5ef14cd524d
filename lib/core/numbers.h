/* Option values that are several numbers: "-1,1", "32,0,64". */
#ifndef OCTPIPE_CORE_NUMBERS_H
#define OCTPIPE_CORE_NUMBERS_H

#include "lib/core/error.h"

/* Read exactly `count` finite numbers with commas between them. */
int numbers_parse(const char *text, int count, double *number, struct error *error);

#endif
