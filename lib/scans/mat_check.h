/* A look at a MATLAB file before matio reads it: of a damaged one, matio reads what is missing as
 * zeros, and takes as much memory as a wrong length says. */
#ifndef OCTPIPE_SCANS_MAT_CHECK_H
#define OCTPIPE_SCANS_MAT_CHECK_H

#include "lib/core/error.h"

#include <stdint.h>

/* Refuse what is no file of version 5 (MATLAB's -v6 and -v7 too), one that is cut, that holds
 * anything but real arrays, or one of more than `limit` bytes in double. Version 7.3 is HDF5, whose
 * library prints what it finds wrong; version 4 has no arrays of three axes. */
int mat_check(const char *path, int64_t limit, struct error *error);

#endif
