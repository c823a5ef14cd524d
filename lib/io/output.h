/* A file being written. A regular file grows under a temporary name beside it and takes its name
 * when it is complete; devices, FIFOs and stdout are written in place. Never a terminal. */
#ifndef OCTPIPE_IO_OUTPUT_H
#define OCTPIPE_IO_OUTPUT_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stddef.h>

struct output {
    int fd;
    const char *name; /* for messages: the path (the caller's), or "stdout" */
    char *target;     /* the regular file that comes to be, symbolic links resolved; or NULL */
    int slot;         /* of the temporary name, when target is set */
};

/* "-" or NULL is stdout. */
int output_open(struct output *output, const char *path, struct error *error);
int output_write(struct output *output, const void *data, size_t size, struct error *error);

/* Give the file another name in the same folder than the one it was opened for, before it is
 * closed: numbered outputs are named when their number is known. */
int output_rename(struct output *output, const char *path, struct error *error);

/* Close, check, and give the file its name; on an error it is removed. */
int output_close(struct output *output, struct error *error);

/* Close and remove what was written, where it can be removed. */
void output_discard(struct output *output);

/* Remove the temporary files of all open outputs, and the folder that is being written;
 * async-signal-safe. */
void outputs_discard(void);

#endif
