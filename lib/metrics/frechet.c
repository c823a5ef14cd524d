#include "lib/metrics/frechet.h"

#include <cblas.h>
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

int moments_open(struct moments *moments, int64_t features, struct error *error)
{
    size_t n = (size_t)features;
    *moments = (struct moments){.features = features,
                                .mean = calloc(n, sizeof *moments->mean),
                                .products = calloc(n * n, sizeof *moments->products),
                                .offset = calloc(n, sizeof *moments->offset)};
    if (moments->mean && moments->products && moments->offset)
        return 0;
    moments_close(moments);
    return error_set(error, "out of memory: moments of %lld features", (long long)features);
}

void moments_close(struct moments *moments)
{
    free(moments->mean);
    free(moments->products);
    free(moments->offset);
    *moments = (struct moments){0};
}

void moments_add(struct moments *moments, const double *vector)
{
    int64_t n = moments->features;
    double count = (double)++moments->count;
    for (int64_t i = 0; i < n; i++) {
        moments->offset[i] = vector[i] - moments->mean[i];
        moments->mean[i] += moments->offset[i] / count;
    }
    for (int64_t i = 0; i < n; i++) {
        double from_old = moments->offset[i] * (count - 1) / count;
        double *row = moments->products + i * n;
        for (int64_t k = 0; k < n; k++)
            row[k] += from_old * moments->offset[k];
    }
}

/* A factor F (n, n) of the covariance, Σ = Fᵀ·F: its rows are eigenvectors, each times the root of
 * its eigenvalue. Eigenvalues within rounding of the largest one count as 0, since their roots
 * would be far above rounding. */
static int factor(const struct moments *moments, double *rows, double *eigenvalue,
                  struct error *error)
{
    int64_t n = moments->features;
    for (int64_t i = 0; i < n * n; i++)
        rows[i] = moments->products[i] / (double)(moments->count - 1);
    if (LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)n, rows, (lapack_int)n, eigenvalue))
        return error_set(error, "the eigenvalues of a covariance do not converge");
    double least = (double)n * DBL_EPSILON * eigenvalue[n - 1];
    for (int64_t i = 0; i < n; i++) {
        double root = eigenvalue[i] > least ? sqrt(eigenvalue[i]) : 0;
        for (int64_t k = 0; k < n; k++)
            rows[i * n + k] *= root;
    }
    return 0;
}

/* tr((Σ_a·Σ_b)^½), the sum of the singular values of F_a·F_bᵀ. They keep to rounding of the largest
 * one where the covariances are singular too; roots of eigenvalues of the product do not. */
static int trace_of_root(const struct moments *a, const struct moments *b, double *matrix,
                         double *value, double *trace, struct error *error)
{
    int n = (int)a->features;
    double *rows_a = matrix, *rows_b = matrix + (int64_t)n * n, *product = rows_b + (int64_t)n * n;
    if (factor(a, rows_a, value, error) || factor(b, rows_b, value, error))
        return -1;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1, rows_a, n, rows_b, n, 0,
                product, n);
    double none;
    if (LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', n, n, product, n, value, &none, 1, &none, 1))
        return error_set(error, "the singular values of the covariances do not converge");
    *trace = 0;
    for (int i = 0; i < n; i++)
        *trace += value[i];
    return 0;
}

int frechet_distance(const struct moments *a, const struct moments *b, double *distance,
                     struct error *error)
{
    int64_t n = a->features;
    if (b->features != n)
        return error_set(error, "%lld and %lld features cannot be compared", (long long)n,
                         (long long)b->features);
    if (a->count < 2 || b->count < 2)
        return error_set(error, "sets of %lld and %lld vectors: a covariance takes at least two",
                         (long long)a->count, (long long)b->count);
    double *matrix = calloc((size_t)(3 * n * n), sizeof *matrix);
    double *value = calloc((size_t)n, sizeof *value);
    double sum = 0, trace = 0;
    openblas_set_num_threads(1);
    int status = matrix && value ? trace_of_root(a, b, matrix, value, &trace, error)
                                 : error_set(error, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        double offset = a->mean[i] - b->mean[i];
        sum += offset * offset + a->products[i * n + i] / (double)(a->count - 1) +
               b->products[i * n + i] / (double)(b->count - 1);
    }
    *distance = fmax(sum - 2 * trace, 0); /* rounding can take it below */
    free(matrix);
    free(value);
    return status;
}
