#include "lib/metrics/total_variation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int total_variation_begin(struct total_variation *tv, int64_t rows, int64_t columns,
                          struct error *error)
{
    *tv = (struct total_variation){.rows = rows, .columns = columns};
    tv->previous = calloc((size_t)(rows * columns) + 1, sizeof *tv->previous);
    if (!tv->previous)
        return error_set(error, "no memory for a slice of %lldx%lld", (long long)rows,
                         (long long)columns);
    return 0;
}

/* Σ (b − a)² over count pairs. */
static double squared_differences(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)b[i] - (double)a[i];
        sum += difference * difference;
    }
    return sum;
}

void total_variation_add(struct total_variation *tv, const float *slice)
{
    int64_t rows = tv->rows, columns = tv->columns;
    for (int64_t y = 0; y < rows; y++) {
        const float *row = slice + y * columns;
        if (y > 0)
            tv->squares += squared_differences(row - columns, row, columns);
        tv->squares += squared_differences(row, row + 1, columns - 1);
        if (tv->started)
            tv->squares += squared_differences(tv->previous + y * columns, row, columns);
    }
    memcpy(tv->previous, slice, (size_t)(rows * columns) * sizeof *slice);
    tv->started = true;
}

double total_variation_finish(struct total_variation *tv)
{
    free(tv->previous);
    tv->previous = NULL;
    return sqrt(tv->squares);
}
