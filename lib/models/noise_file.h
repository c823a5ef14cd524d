/* Noise given as arrays of a file, one for each array of the input. */
#ifndef OCTPIPE_MODELS_NOISE_FILE_H
#define OCTPIPE_MODELS_NOISE_FILE_H

#include "lib/io/stream.h"

struct noise_file {
    struct stream_reader *reader;
    float *data; /* the current array */
};

/* Read the next array of the file (opened at the first call), which must have this shape. */
int noise_file_next(struct noise_file *file, const char *path, int rank, const int64_t *shape,
                    struct error *error);
void noise_file_close(struct noise_file *file);

#endif
