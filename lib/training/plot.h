/* Curves of a training log (lib/training/train_log.h) as a gray picture: a panel for each column,
 * over the steps. */
#ifndef OCTPIPE_TRAINING_PLOT_H
#define OCTPIPE_TRAINING_PLOT_H

#include "lib/io/view.h"

#include <stdio.h>

struct plot_table {
    int columns;
    char **name; /* (columns) */
    int64_t rows;
    double *value; /* (rows, columns); NAN where a field is empty */
};

/* Read tab-separated values: a row of names, then rows of numbers. Anything else is refused with
 * the line's number. */
int plot_read(struct plot_table *table, FILE *file, struct error *error);
void plot_free(struct plot_table *table); /* {0} is fine */

/* Draw each column that holds a number, but "step" and "seconds", over the first column. With
 * `logarithmic`, columns whose values are all positive have a logarithmic axis. */
int plot_draw(const struct plot_table *table, bool logarithmic, struct picture *picture,
              struct error *error);

#endif
