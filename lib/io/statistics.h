/* Statistics of an array that is seen once, piece by piece: extremes, mean, deviation, histogram.
 */
#ifndef OCTPIPE_IO_STATISTICS_H
#define OCTPIPE_IO_STATISTICS_H

#include "kernels/tensor.h"

enum { STATISTICS_BINS = 4096 };

struct statistics {
    int64_t count;         /* of finite numbers, which all below is about */
    int64_t nan, infinite; /* numbers that are not finite */
    double min, max, mean;
    double squares; /* sum of squared distances from the mean */

    /* Bin i holds the numbers whose floor(number / 2^exponent) is first + i. The width doubles when
     * the range outgrows the bins. */
    int exponent;
    int64_t first, bin[STATISTICS_BINS];
};

/* Starts from {0}. */
void statistics_add(struct statistics *statistics, const void *data, enum dtype dtype,
                    int64_t count);

/* The population's standard deviation. */
double statistics_deviation(const struct statistics *statistics);

/* The numbers in `rows` equal parts of [min, max], by the middles of the bins. */
void statistics_histogram(const struct statistics *statistics, int rows, int64_t *count);

#endif
