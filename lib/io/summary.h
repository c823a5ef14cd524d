/* What tensor-info says of an array: its description, metadata and statistics. */
#ifndef OCTPIPE_IO_SUMMARY_H
#define OCTPIPE_IO_SUMMARY_H

#include "lib/io/array.h"
#include "lib/io/statistics.h"

#include <stdio.h>

/* input names where array `number` of it (from 1) came from; the array was read and verified. */
struct summary {
    const char *input;
    int64_t number;
    const struct array *array;
    const struct statistics *statistics;
};

/* Some lines for people. */
void summary_text(const struct summary *summary, FILE *out);

/* One line of JSON; docs/stream.md lists the fields. */
int summary_json(const struct summary *summary, FILE *out, struct error *error);

#endif
