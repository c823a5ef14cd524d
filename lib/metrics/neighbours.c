#include "lib/metrics/neighbours.h"

#include <math.h>
#include <stdlib.h>

int neighbours_begin(struct neighbours *neighbours, int64_t rows, int64_t columns, bool projection,
                     struct error *error)
{
    *neighbours = (struct neighbours){.rows = rows,
                                      .columns = columns,
                                      .projection = projection,
                                      .values = projection ? columns : rows * columns};
    neighbours->value = calloc((size_t)(2 * neighbours->values), sizeof *neighbours->value);
    return neighbours->value ? 0
                             : error_set(error, "no memory for slices of %lldx%lld",
                                         (long long)rows, (long long)columns);
}

static void project(const float *slice, int64_t rows, int64_t columns, double *mean)
{
    for (int64_t x = 0; x < columns; x++)
        mean[x] = 0;
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++)
            mean[x] += slice[y * columns + x];
    for (int64_t x = 0; x < columns; x++)
        mean[x] /= (double)rows;
}

void neighbours_add(struct neighbours *neighbours, const float *slice)
{
    int64_t values = neighbours->values, odd = neighbours->slices % 2;
    double *now = neighbours->value + odd * values;
    const double *before = neighbours->value + !odd * values;
    if (neighbours->projection)
        project(slice, neighbours->rows, neighbours->columns, now);
    else
        for (int64_t i = 0; i < values; i++)
            now[i] = slice[i];
    for (int64_t i = 0; i < values && neighbours->slices > 0; i++)
        neighbours->sum += fabs(now[i] - before[i]);
    neighbours->slices++;
}

double neighbours_finish(struct neighbours *neighbours)
{
    free(neighbours->value);
    neighbours->value = NULL;
    if (neighbours->slices < 2)
        return NAN;
    return neighbours->sum / (double)((neighbours->slices - 1) * neighbours->values);
}
