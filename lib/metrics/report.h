/* Measurements as text and as JSON. */
#ifndef OCTPIPE_METRICS_REPORT_H
#define OCTPIPE_METRICS_REPORT_H

#include "lib/metrics/measure.h"

#include <stdio.h>

/* "NAME NUMBER VALUE" for each part, then "NAME mean VALUE"; "NAME VALUE" without parts. */
void report_text(FILE *out, const char *name, const struct measurement *measurement);

/* One line: {"measure":NAME,"array":INDEX,"value":VALUE}, or with parts "mean":VALUE and
 * "parts":{NUMBER:VALUE,…}. NaN and infinity become null. Fails only when memory is out. */
int report_json(FILE *out, const char *name, int64_t index, const struct measurement *measurement,
                struct error *error);

#endif
