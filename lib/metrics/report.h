/* Measurements as text, as JSON, and as TSV, which is one line for a measure of a whole set. */
#ifndef OCTPIPE_METRICS_REPORT_H
#define OCTPIPE_METRICS_REPORT_H

#include "lib/metrics/nearest.h"
#include "lib/metrics/spread.h"

#include <stdio.h>

/* "NAME NUMBER VALUE" for each part, then "NAME mean VALUE"; "NAME VALUE" without parts. */
void report_text(FILE *out, const char *name, const struct measurement *measurement);

/* One line: {"measure":NAME,"array":INDEX,"value":VALUE}, or with parts "mean":VALUE and
 * "parts":{NUMBER:VALUE,…}, and "left_out":COUNT where that is not 0. NaN and infinity become null.
 * Fails only when memory is out. */
int report_json(FILE *out, const char *name, int64_t index, const struct measurement *measurement,
                struct error *error);

/* "NAME<tab>VALUE<tab>DEVIATION<tab>COUNT<tab>COUNT OF B"; what there is not, a deviation of NaN or
 * a count of 0, is empty. */
void report_tsv(FILE *out, const char *name, double value, double deviation, int64_t count,
                int64_t others);

/* Over several arrays, the same lines with means for values, then "deviation VALUE" where there is
 * one, and "of COUNT arrays", those that have a value:
 *   {"measure":NAME,"arrays":COUNT,"mean":VALUE,"deviation":VALUE,
 *    "parts":{NUMBER:{"arrays":COUNT,"mean":VALUE,"deviation":VALUE},…}}
 * and report_tsv of NAME-NUMBER for each part before that of NAME. */
void report_spreads_text(FILE *out, const char *name, const struct spreads *spreads);
int report_spreads_json(FILE *out, const char *name, const struct spreads *spreads,
                        struct error *error);
void report_spreads_tsv(FILE *out, const char *name, const struct spreads *spreads);

/* The mean over pairs of volumes of a set: "NAME VALUE deviation VALUE of PAIRS pairs of VOLUMES
 * volumes" and {"measure":NAME,"value":VALUE,"deviation":VALUE,"pairs":PAIRS,"volumes":VOLUMES}. */
void report_pairs_text(FILE *out, const char *name, const struct spread *spread, int64_t volumes);
int report_pairs_json(FILE *out, const char *name, const struct spread *spread, int64_t volumes,
                      struct error *error);

/* A distance between sets of so many slices: "NAME VALUE deviation DEVIATION interval LOW HIGH of
 * COUNT and OTHERS slices", {"measure":NAME,"value":VALUE,"deviation":DEVIATION,"interval":[LOW,
 * HIGH],"slices":[COUNT,OTHERS],"features":FEATURES}, and a line of report_tsv with two columns
 * more, LOW and HIGH. Without a deviation or an interval that is left out. */
struct distance_report {
    const char *name;
    double value, deviation, interval[2]; /* NaN: none */
    int64_t slices[2], features;
};
void report_distance_text(FILE *out, const struct distance_report *report);
int report_distance_json(FILE *out, const struct distance_report *report, struct error *error);
void report_distance_tsv(FILE *out, const struct distance_report *report);

/* "nearest INDEX DISTANCE MATCH INPUT" and {"measure":"nearest","array":INDEX,"value":DISTANCE,
 * "match":MATCH,"input":INPUT}. */
void report_nearest_text(FILE *out, int64_t index, const struct nearest_volume *volume);
int report_nearest_json(FILE *out, int64_t index, const struct nearest_volume *volume,
                        struct error *error);

#endif
