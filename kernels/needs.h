/* What kernels of every backend do for their needs: reserve memory, and prepare nothing. */
#ifndef OCTPIPE_KERNELS_NEEDS_H
#define OCTPIPE_KERNELS_NEEDS_H

#include "kernels/operation.h"

/* Append count elements of size bytes to a block of *total bytes; returns their offset, a multiple
 * of `alignment`. *total becomes SIZE_MAX when the sum does not fit, and stays so. */
size_t needs_reserve(size_t *total, int64_t count, int64_t size, size_t alignment);

/* kernel.prepare of kernels without weights: does nothing. */
const char *needs_nothing(void *state, const struct operation *operation, void *prepared,
                          void *scratch);

#endif
