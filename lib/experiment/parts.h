/* The parts of an experiment's page: each writes one file as HTML. Errors name the file. */
#ifndef OCTPIPE_EXPERIMENT_PARTS_H
#define OCTPIPE_EXPERIMENT_PARTS_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A table with a row of names first, tab-separated; or with `facts` lines of octmetrics --tsv,
 * MEASURE VALUE [DEVIATION [COUNT [COUNT OF B [FROM TO]]]]. Numbers are rounded to four digits,
 * whole ones stay; a column NAME-deviation behind NAME is written into its fields, "a ± b", b of
 * two. */
int experiment_table(FILE *out, const char *path, bool facts, struct error *error);

/* The curves of a training log (lib/training/plot.h), a picture in SVG for each column over the
 * steps. With `logarithmic`, columns of positive values have a logarithmic axis. */
int experiment_curves(FILE *out, const char *path, bool logarithmic, struct error *error);

/* Each array of a stream: type, shape, kind, CRC-32C of the payload, which is verified where the
 * stream says it; and the commands that made it. `limit` as of stream_reader_open. */
int experiment_stream(FILE *out, const char *path, int64_t limit, struct error *error);

/* A weight file: tensors, numbers, CRC-32C of the file, and its metadata. */
int experiment_weights(FILE *out, const char *path, struct error *error);

#endif
