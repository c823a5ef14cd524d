/* Noise given as arrays of a file, one for each array of the input. */
#ifndef OCTPIPE_MODELS_NOISE_FILE_H
#define OCTPIPE_MODELS_NOISE_FILE_H

#include "lib/io/stream.h"

struct noise_file {
    const char *path; /* the caller's; NULL: no noise is given, and nothing is done */
    struct stream_reader *reader;
    float *data; /* slices of the current array, as many as are held; NULL without a path */
};

/* Go to the next array of the file (opened at the first call), which must have this shape, and hold
 * up to `held` slices of it at a time. */
int noise_file_next(struct noise_file *file, int rank, const int64_t *shape, int64_t held,
                    struct error *error);

/* Read its next slices into data. */
int noise_file_read(struct noise_file *file, int64_t slices, struct error *error);
void noise_file_close(struct noise_file *file);

#endif
