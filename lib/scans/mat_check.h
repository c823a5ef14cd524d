/* A look at a MATLAB file before matio reads it: of a damaged one, matio reads what is missing as
 * zeros, and takes as much memory as a wrong length says. */
#ifndef OCTPIPE_SCANS_MAT_CHECK_H
#define OCTPIPE_SCANS_MAT_CHECK_H

#include "lib/core/error.h"

#include <stdint.h>

/* Refuse a file of version 5 that is cut, that holds anything but real arrays, or one of more than
 * `limit` bytes in double. Other versions pass. */
int mat_check(const char *path, int64_t limit, struct error *error);

#endif
