/* PNG files of gray pictures. */
#ifndef OCTPIPE_IO_PNG_H
#define OCTPIPE_IO_PNG_H

#include "lib/core/error.h"
#include "lib/io/view.h"

/* Write to path ("-" or NULL: stdout, never a terminal); a regular file gets its name when it is
 * complete. Reasons name the output. */
int png_write(const char *path, const struct picture *picture, struct error *error);

#endif
