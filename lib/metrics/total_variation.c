#include "lib/metrics/total_variation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const total_variation_kinds[TV_KINDS + 1] = {
    "paper", "anisotropic", "isotropic", "anisotropic-mean", "isotropic-mean", NULL};

int total_variation_begin(struct total_variation *tv, enum total_variation_kind kind, int64_t rows,
                          int64_t columns, struct error *error)
{
    *tv = (struct total_variation){.kind = kind, .rows = rows, .columns = columns};
    tv->previous = calloc((size_t)(rows * columns), sizeof *tv->previous);
    if (!tv->previous)
        return error_set(error, "no memory for a slice of %lldx%lld", (long long)rows,
                         (long long)columns);
    return 0;
}

/* What the voxels of a row add; below is the next row, behind that of the next slice, the row
 * itself where there is none. */
static double row_variation(enum total_variation_kind kind, const float *row, const float *below,
                            const float *behind, int64_t columns)
{
    double sum = 0;
    for (int64_t x = 0; x < columns; x++) {
        double value = (double)row[x], next = (double)row[x + 1 < columns ? x + 1 : x];
        double d = (double)behind[x] - value, h = (double)below[x] - value, w = next - value;
        if (kind == TV_ANISOTROPIC || kind == TV_ANISOTROPIC_MEAN)
            sum += fabs(d) + fabs(h) + fabs(w);
        else if (kind == TV_PAPER)
            sum += d * d + h * h + w * w;
        else
            sum += sqrt(d * d + h * h + w * w);
    }
    return sum;
}

/* Add what the slice before adds; `next` is the one behind it, itself for the last one. */
static void add_previous(struct total_variation *tv, const float *next)
{
    int64_t columns = tv->columns;
    for (int64_t y = 0; y < tv->rows; y++) {
        const float *row = tv->previous + y * columns;
        const float *below = y + 1 < tv->rows ? row + columns : row;
        tv->sum += row_variation(tv->kind, row, below, next + y * columns, columns);
    }
}

void total_variation_add(struct total_variation *tv, const float *slice)
{
    if (tv->slices++ > 0)
        add_previous(tv, slice);
    memcpy(tv->previous, slice, (size_t)(tv->rows * tv->columns) * sizeof *slice);
}

double total_variation_finish(struct total_variation *tv)
{
    double voxels = (double)(tv->slices * tv->rows * tv->columns);
    add_previous(tv, tv->previous);
    free(tv->previous);
    tv->previous = NULL;
    if (tv->kind == TV_PAPER)
        return sqrt(tv->sum);
    bool mean = tv->kind == TV_ANISOTROPIC_MEAN || tv->kind == TV_ISOTROPIC_MEAN;
    return mean ? tv->sum / voxels : tv->sum;
}
