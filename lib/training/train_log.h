/* The log of a training run: a table of tab-separated values with one row every few steps, which
 * `plot-log` draws and spreadsheets read. An empty field has no value. */
#ifndef OCTPIPE_TRAINING_TRAIN_LOG_H
#define OCTPIPE_TRAINING_TRAIN_LOG_H

#include "lib/core/error.h"

#include <stdint.h>
#include <stdio.h>

enum { TRAIN_LOG_COLUMNS = 16 };

struct train_log {
    const char *path; /* the caller's */
    FILE *file;
    int columns;
    double sum[TRAIN_LOG_COLUMNS];
    int64_t rows[TRAIN_LOG_COLUMNS]; /* values in each sum */
};

/* Open the log to go on after `step`: rows of later steps are dropped. names: of the columns after
 * the first, which is "step"; NULL at the end. */
int train_log_open(struct train_log *log, const char *path, const char *const *names, int64_t step,
                   struct error *error);

/* Add a value to a column (0: the first after "step"). */
void train_log_add(struct train_log *log, int column, double value);

/* Write a row with the mean of each column since the last one. */
int train_log_row(struct train_log *log, int64_t step, struct error *error);

void train_log_close(struct train_log *log); /* {0} is fine */

#endif
