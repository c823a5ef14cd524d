#include "lib/io/statistics.h"

#include "lib/io/array.h"

#include <math.h>
#include <string.h>

enum { PIECE = 4096, DOUBLE_BITS = 53 };

static int64_t bin_index(double value, int exponent)
{
    return (int64_t)floor(ldexp(value, -exponent));
}

/* The least width exponent with which the range takes a quarter of the bins, and indices are exact
 * in a double. */
static int least_exponent(const struct statistics *statistics)
{
    enum { LEAST = -1000 };
    const double quarter = STATISTICS_BINS / 4;
    double width = statistics->max / quarter - statistics->min / quarter;
    double largest = fmax(fabs(statistics->min), fabs(statistics->max));
    int exponent = LEAST;
    if (width > 0)
        exponent = (int)fmax(exponent, ceil(log2(width)));
    if (largest > 0)
        exponent = (int)fmax(exponent, ilogb(largest) + 2 - DOUBLE_BITS);
    return exponent;
}

/* Make the bins cover [min, max], with room on both sides. */
static void cover(struct statistics *statistics)
{
    int exponent = least_exponent(statistics);
    if (statistics->count && exponent < statistics->exponent)
        exponent = statistics->exponent;
    int64_t first = bin_index(statistics->min, exponent) - STATISTICS_BINS / 4;
    int64_t old[STATISTICS_BINS];
    memcpy(old, statistics->bin, sizeof old);
    memset(statistics->bin, 0, sizeof statistics->bin);
    for (int64_t i = 0; i < STATISTICS_BINS; i++)
        if (old[i]) {
            int shift = exponent - statistics->exponent;
            int64_t index = (statistics->first + i) >> (shift < 63 ? shift : 63);
            statistics->bin[index - first] += old[i];
        }
    statistics->first = first;
    statistics->exponent = exponent;
}

/* Finite numbers; their moments are merged as Chan, Golub and LeVeque do. */
static void add_finite(struct statistics *statistics, const double *value, int64_t count)
{
    double low = value[0], high = value[0], sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        low = value[i] < low ? value[i] : low;
        high = value[i] > high ? value[i] : high;
        sum += value[i] - value[0];
    }
    double mean = value[0] + sum / (double)count;
    for (int64_t i = 0; i < count; i++)
        squares += (value[i] - mean) * (value[i] - mean);

    bool first = statistics->count == 0;
    if (first || low < statistics->min || high > statistics->max) {
        statistics->min = first ? low : fmin(low, statistics->min);
        statistics->max = first ? high : fmax(high, statistics->max);
        int64_t end = statistics->first + STATISTICS_BINS;
        if (first || bin_index(statistics->min, statistics->exponent) < statistics->first ||
            bin_index(statistics->max, statistics->exponent) >= end)
            cover(statistics);
    }
    for (int64_t i = 0; i < count; i++)
        statistics->bin[bin_index(value[i], statistics->exponent) - statistics->first]++;

    double total = (double)(statistics->count + count), apart = mean - statistics->mean;
    statistics->squares +=
        squares + apart * apart * (double)statistics->count * ((double)count / total);
    statistics->mean += apart * ((double)count / total);
    statistics->count += count;
}

void statistics_add(struct statistics *statistics, const void *data, enum dtype dtype,
                    int64_t count)
{
    const unsigned char *at = data;
    double value[PIECE];
    for (int64_t part; count; count -= part, at += part * dtype_size(dtype)) {
        part = count < PIECE ? count : PIECE;
        array_to_f64(at, dtype, value, part);
        int64_t finite = 0;
        for (int64_t i = 0; i < part; i++) {
            statistics->nan += isnan(value[i]) != 0;
            statistics->infinite += isinf(value[i]) != 0;
            value[finite] = value[i];
            finite += isfinite(value[i]) != 0;
        }
        if (finite)
            add_finite(statistics, value, finite);
    }
}

double statistics_deviation(const struct statistics *statistics)
{
    return statistics->count ? sqrt(statistics->squares / (double)statistics->count) : 0;
}

void statistics_histogram(const struct statistics *statistics, int rows, int64_t *count)
{
    double range = statistics->max - statistics->min;
    memset(count, 0, (size_t)rows * sizeof *count);
    for (int64_t i = 0; i < STATISTICS_BINS; i++) {
        double middle = ldexp((double)(statistics->first + i) + 0.5, statistics->exponent);
        double row = range > 0 ? floor((middle - statistics->min) / range * rows) : 0;
        count[row < 0 ? 0 : row < rows ? (int)row : rows - 1] += statistics->bin[i];
    }
}
