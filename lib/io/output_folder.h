/* A folder of numbered files being written. It grows under a temporary name beside the folder it
 * becomes, and takes its name when it is complete; a program that gives up, or is ended by a
 * signal, leaves nothing. */
#ifndef OCTPIPE_IO_OUTPUT_FOLDER_H
#define OCTPIPE_IO_OUTPUT_FOLDER_H

#include "lib/core/error.h"

#include <stddef.h>
#include <stdint.h>

struct output_folder; /* one at a time */

/* Begin folder `path`, which must not be there, or be empty. Its files are numbered from 0 with
 * zeros in front, as many digits as `files` of them need, and end in `extension`. */
int output_folder_open(struct output_folder **folder, const char *path, int64_t files,
                       const char *extension, struct error *error);

/* Write the next file. */
int output_folder_add(struct output_folder *folder, const void *data, size_t size,
                      struct error *error);

/* Give the folder its name, `path`, in the same place as the one it was opened for. It is gone
 * afterwards, as it is after output_folder_discard. */
int output_folder_close(struct output_folder *folder, const char *path, struct error *error);

/* Remove what the open folder holds, and itself; async-signal-safe. */
void output_folder_discard(void);

#endif
