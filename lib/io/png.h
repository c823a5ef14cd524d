/* PNG files, written. */
#ifndef OCTPIPE_IO_PNG_H
#define OCTPIPE_IO_PNG_H

#include "lib/core/error.h"
#include "lib/io/view.h"

#include <stddef.h>

/* Write to path ("-" or NULL: stdout, never a terminal); a regular file gets its name when it is
 * complete. Reasons name the output. */
int png_write(const char *path, const struct picture *picture, struct error *error);

/* Encode samples (rows, columns, channels), u1 or u2, with 8 or 16 bits; 1 channel is gray, 3 are
 * red, green and blue. *data has room for as many bytes as *room says; it is made larger when it
 * must be, and free releases it. */
int png_encode(void **data, size_t *room, size_t *size, int64_t rows, int64_t columns,
               int64_t channels, enum dtype dtype, const void *samples, struct error *error);

#endif
