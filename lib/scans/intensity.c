#include "lib/scans/intensity.h"

#include "lib/io/array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HALF_BITS = 16, BINS = 1 << HALF_BITS, PIECE = 1 << 14 };

/* f4 as whole numbers of the same order. */
static uint32_t key_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key)
{
    float value;
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct histogram {
    int64_t high[BINS];   /* elements by the upper half of their key */
    int64_t low[2][BINS]; /* those of the upper halves `chosen`, by the lower one */
    uint32_t chosen[2];
};

/* Count elements: `second` in the second round. False where one is not finite. */
static bool count_elements(struct histogram *histogram, const void *data, enum dtype dtype,
                           int64_t count, bool second)
{
    float value[PIECE];
    const char *at = data;
    for (int64_t done = 0, part; done < count; done += part) {
        part = count - done < PIECE ? count - done : PIECE;
        array_to_f32(at + done * dtype_size(dtype), dtype, value, part);
        for (int64_t i = 0; i < part; i++) {
            uint32_t key = key_of(value[i]), high = key >> HALF_BITS;
            if (!isfinite(value[i]))
                return false;
            if (!second)
                histogram->high[high]++;
            for (int k = 0; second && k < 2; k++)
                if (high == histogram->chosen[k])
                    histogram->low[k][key & (BINS - 1)]++;
        }
    }
    return true;
}

/* The bin that holds the element of this rank; the rank within the bin is left. */
static uint32_t find_bin(const int64_t *bin, int64_t *rank)
{
    uint32_t i = 0;
    for (; i < BINS - 1 && *rank >= bin[i]; i++)
        *rank -= bin[i];
    return i;
}

int intensity_percentiles(const void *data, enum dtype dtype, int64_t count,
                          const double percentile[2], float value[2], struct error *error)
{
    int64_t rank[2];
    struct histogram *histogram = calloc(1, sizeof *histogram);
    if (!histogram)
        return error_set(error, "out of memory");
    bool finite = count_elements(histogram, data, dtype, count, false);
    for (int k = 0; k < 2; k++) {
        rank[k] = (int64_t)floor(percentile[k] / 100 * (double)(count - 1));
        histogram->chosen[k] = find_bin(histogram->high, &rank[k]);
    }
    finite = finite && count_elements(histogram, data, dtype, count, true);
    for (int k = 0; k < 2; k++)
        value[k] =
            value_of(histogram->chosen[k] << HALF_BITS | find_bin(histogram->low[k], &rank[k]));
    free(histogram);
    return finite ? 0 : error_set(error, "it holds NaN or infinity");
}

int intensity_map(float *value, int64_t count, double low, double high, struct error *error)
{
    for (int64_t i = 0; i < count; i++) {
        double mapped = 2 * ((double)value[i] - low) / (high - low) - 1;
        if (isnan(mapped))
            return error_set(error, "it holds NaN");
        value[i] = (float)(mapped < -1 ? -1 : mapped > 1 ? 1 : mapped);
    }
    return 0;
}
