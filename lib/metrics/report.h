/* Measurements as text, as JSON, and as TSV, which is one line for a measure of a whole set. */
#ifndef OCTPIPE_METRICS_REPORT_H
#define OCTPIPE_METRICS_REPORT_H

#include "lib/metrics/measure.h"
#include "lib/metrics/nearest.h"

#include <stdio.h>

/* "NAME NUMBER VALUE" for each part, then "NAME mean VALUE"; "NAME VALUE" without parts. */
void report_text(FILE *out, const char *name, const struct measurement *measurement);

/* One line: {"measure":NAME,"array":INDEX,"value":VALUE}, or with parts "mean":VALUE and
 * "parts":{NUMBER:VALUE,…}. NaN and infinity become null. Fails only when memory is out. */
int report_json(FILE *out, const char *name, int64_t index, const struct measurement *measurement,
                struct error *error);

/* Values of a set: their mean and the sample standard deviation, NaN below two values. */
struct spread {
    int64_t count;
    double mean, squares; /* Σ (value − mean)² */
};
void spread_add(struct spread *spread, double value);
double spread_deviation(const struct spread *spread);

/* "NAME<tab>VALUE<tab>DEVIATION<tab>COUNT<tab>COUNT OF B"; what there is not, a deviation of NaN or
 * a count of 0, is empty. */
void report_tsv(FILE *out, const char *name, double value, double deviation, int64_t count,
                int64_t others);

/* A distance between sets of so many slices: "NAME VALUE of COUNT and OTHERS slices" and
 * {"measure":NAME,"value":VALUE,"slices":[COUNT,OTHERS],"features":FEATURES}. */
void report_distance_text(FILE *out, const char *name, double value, const int64_t slices[2]);
int report_distance_json(FILE *out, const char *name, double value, const int64_t slices[2],
                         int64_t features, struct error *error);

/* "nearest INDEX DISTANCE MATCH INPUT" and {"measure":"nearest","array":INDEX,"value":DISTANCE,
 * "match":MATCH,"input":INPUT}. */
void report_nearest_text(FILE *out, int64_t index, const struct nearest_volume *volume);
int report_nearest_json(FILE *out, int64_t index, const struct nearest_volume *volume,
                        struct error *error);

#endif
