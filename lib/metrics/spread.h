/* Values of several arrays: their mean and sample standard deviation. */
#ifndef OCTPIPE_METRICS_SPREAD_H
#define OCTPIPE_METRICS_SPREAD_H

#include "lib/metrics/measure.h"

/* {0} is empty. */
struct spread {
    int64_t count;
    double mean, squares; /* Σ (value − mean)² */
};

/* NaN, no value, is left out; with an infinite one the mean is infinite, and no deviation is. */
void spread_add(struct spread *spread, double value);

/* Of n values with n − 1 degrees of freedom; NaN below two. */
double spread_deviation(const struct spread *spread);

/* Measurements of several arrays: of their values, and of each class or surface over the arrays
 * that have it. */
struct spreads {
    int64_t arrays; /* measured, also those without a value */
    struct spread value;
    int64_t parts;
    struct spread_part {
        int64_t number;
        struct spread spread;
    } * part; /* by number, ascending */
};

/* Fails only when memory is out. */
int spreads_add(struct spreads *spreads, const struct measurement *measurement,
                struct error *error);
void spreads_free(struct spreads *spreads); /* {0} is fine */

#endif
