#include "lib/metrics/kid.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdlib.h>

enum { ROWS = 128 /* of the matrix of kernels that are held at a time */ };

/* A double sum over pairs (x_i, y_j) weighed by u_i·v_j, for `estimates` choices of weights. With
 * `same`, x and y are one set, and i ≠ j. */
struct pairs {
    const struct vectors *x, *y;
    const double *u, *v; /* (estimates, x->count), (estimates, y->count) */
    int64_t estimates;
    bool same;
};

/* The kernels of rows first … first+rows−1 with the columns from `from` on, each as often as the
 * pair occurs among those: of one set a pair beyond the block stands for its mirror too. */
static void fill_kernels(const struct pairs *p, int64_t first, int64_t rows, int64_t from,
                         double *kernel)
{
    int64_t n = p->x->features, columns = p->y->count - from;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, (int)n,
                1.0 / (double)n, p->x->vector + first * n, (int)n, p->y->vector + from * n, (int)n,
                0, kernel, (int)columns);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            double one = kernel[i * columns + j] + 1;
            double times = !p->same ? 1 : i == j ? 0 : j < rows ? 1 : 2;
            kernel[i * columns + j] = times * one * one * one;
        }
}

/* Σ over the block's pairs of each choice of weights. */
static void sum_block(const struct pairs *p, int64_t first, double *kernel, double *weighed,
                      double *sum)
{
    int64_t rows = p->x->count - first < ROWS ? p->x->count - first : ROWS;
    int64_t from = p->same ? first : 0, columns = p->y->count - from;
    fill_kernels(p, first, rows, from, kernel);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->estimates, (int)rows, (int)columns,
                1, p->v + from, (int)p->y->count, kernel, (int)columns, 0, weighed, (int)rows);
    for (int64_t r = 0; r < p->estimates; r++) {
        sum[r] = 0;
        for (int64_t i = 0; i < rows; i++)
            sum[r] += p->u[r * p->x->count + first + i] * weighed[r * rows + i];
    }
}

/* The same of all pairs. */
static int sum_pairs(const struct pairs *p, double *sum, struct error *error)
{
    int64_t blocks = (p->x->count + ROWS - 1) / ROWS;
    double *sums = calloc((size_t)(blocks * p->estimates), sizeof *sums);
    bool missing = !sums;
    openblas_set_num_threads(1);
#pragma omp parallel
    {
        double *kernel = malloc(ROWS * (size_t)p->y->count * sizeof *kernel);
        double *weighed = malloc(ROWS * (size_t)p->estimates * sizeof *weighed);
#pragma omp for schedule(dynamic) reduction(|| : missing)
        for (int64_t block = 0; block < blocks; block++) {
            missing = missing || !kernel || !weighed;
            if (!missing)
                sum_block(p, block * ROWS, kernel, weighed, sums + block * p->estimates);
        }
        free(kernel);
        free(weighed);
    }
    for (int64_t r = 0; r < p->estimates && !missing; r++) {
        sum[r] = 0;
        for (int64_t block = 0; block < blocks; block++)
            sum[r] += sums[block * p->estimates + r];
    }
    free(sums);
    return missing
               ? error_set(error, "out of memory: kernels of %lld vectors", (long long)p->y->count)
               : 0;
}

/* Add factor times the mean over the pairs to each estimate. */
static int add_mean(const struct pairs *p, double factor, double *sum, double *estimate,
                    struct error *error)
{
    if (sum_pairs(p, sum, error))
        return -1;
    for (int64_t r = 0; r < p->estimates; r++) {
        double u = 0, v = 0, squares = 0;
        for (int64_t i = 0; i < p->x->count; i++) {
            u += p->u[r * p->x->count + i];
            squares += p->u[r * p->x->count + i] * p->u[r * p->x->count + i];
        }
        for (int64_t i = 0; i < p->y->count; i++)
            v += p->v[r * p->y->count + i];
        double pairs = p->same ? u * v - squares : u * v;
        if (!(pairs > 0))
            return error_set(error, "a part of %g vectors has no pairs", u);
        estimate[r] += factor * sum[r] / pairs;
    }
    return 0;
}

int kid_estimate(const struct vectors *a, const struct vectors *b, const double *times_a,
                 const double *times_b, int64_t estimates, double *estimate, struct error *error)
{
    const struct pairs within_a = {a, a, times_a, times_a, estimates, true},
                       within_b = {b, b, times_b, times_b, estimates, true},
                       between = {a, b, times_a, times_b, estimates, false};
    if (a->features != b->features)
        return error_set(error, "%lld and %lld features cannot be compared", (long long)a->features,
                         (long long)b->features);
    double *sum = malloc((size_t)estimates * sizeof *sum);
    if (!sum)
        return error_set(error, "out of memory");
    for (int64_t r = 0; r < estimates; r++)
        estimate[r] = 0;
    int status = add_mean(&within_a, 1, sum, estimate, error) ||
                 add_mean(&within_b, 1, sum, estimate, error) ||
                 add_mean(&between, -2, sum, estimate, error);
    free(sum);
    return status ? -1 : 0;
}
