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

/* The axes of a column's curve. */
struct plot_axes {
    double first, last; /* steps at its left and right */
    double low, high;   /* values at its bottom and top, or their logarithms */
    bool logarithmic;
};

/* What a column spans, somewhat more where that is nothing; logarithmic where that is asked for and
 * all values are positive. False where there is no curve: of "step" and "seconds", and without a
 * number. */
bool plot_axes(const struct plot_table *table, int column, bool logarithmic,
               struct plot_axes *axes);

/* Where a step and a value lie, 0 at the left and at the top, 1 at the right and at the bottom; and
 * the value at a height. */
double plot_across(const struct plot_axes *axes, double step);
double plot_down(const struct plot_axes *axes, double value);
double plot_value(const struct plot_axes *axes, double down);

/* Draw each column that holds a number, but "step" and "seconds", over the first column. With
 * `logarithmic`, columns whose values are all positive have a logarithmic axis. */
int plot_draw(const struct plot_table *table, bool logarithmic, struct picture *picture,
              struct error *error);

#endif
