#include "lib/metrics/frechet.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int moments_open(struct moments *moments, int64_t features, struct error *error)
{
    size_t n = (size_t)features;
    *moments = (struct moments){.features = features,
                                .mean = calloc(n, sizeof *moments->mean),
                                .products = calloc(n * n, sizeof *moments->products),
                                .block = calloc((MOMENTS_BLOCK + 1) * n, sizeof *moments->block)};
    openblas_set_num_threads(1);
    if (moments->mean && moments->products && moments->block)
        return 0;
    moments_close(moments);
    return error_set(error, "out of memory: moments of %lld features", (long long)features);
}

void moments_close(struct moments *moments)
{
    free(moments->mean);
    free(moments->products);
    free(moments->block);
    *moments = (struct moments){0};
}

void moments_add(struct moments *moments, const double *vector)
{
    int64_t n = moments->features;
    memcpy(moments->block + moments->held * n, vector, (size_t)n * sizeof *vector);
    moments->count++;
    if (++moments->held == MOMENTS_BLOCK)
        moments_flush(moments);
}

/* The block's vectors less their mean, and behind them the mean less that of all before, with the
 * weight that it has in the sum of products (Chan, Golub and LeVeque 1983). */
void moments_flush(struct moments *moments)
{
    int64_t n = moments->features;
    double held = (double)moments->held, count = (double)moments->count;
    double *rest = moments->block + moments->held * n, weight = sqrt((count - held) * held / count);
    if (moments->held == 0)
        return;
    for (int64_t i = 0; i < n; i++) {
        double first = moments->block[i], sum = 0;
        for (int64_t k = 0; k < moments->held; k++)
            sum += moments->block[k * n + i] - first;
        double mean = first + sum / held, offset = mean - moments->mean[i];
        for (int64_t k = 0; k < moments->held; k++)
            moments->block[k * n + i] -= mean;
        rest[i] = weight * offset;
        moments->mean[i] += offset * held / count;
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)n, (int)moments->held + 1, 1,
                moments->block, (int)n, 1, moments->products, (int)n);
    moments->held = 0;
}

/* A factor F (rows, features) of a covariance, Σ = Fᵀ·F. */
struct factor {
    int64_t rows, features;
    double *row, *mean;
};

static void factor_close(struct factor *factor)
{
    free(factor->row);
    free(factor->mean);
    *factor = (struct factor){0};
}

static int factor_open(struct factor *factor, int64_t rows, int64_t features, struct error *error)
{
    *factor = (struct factor){rows, features, calloc((size_t)(rows * features), sizeof(double)),
                              calloc((size_t)features, sizeof(double))};
    if (factor->row && factor->mean)
        return 0;
    factor_close(factor);
    return error_set(error, "out of memory: a covariance of %lld features", (long long)features);
}

/* Cholesky's factor with pivots. What rounding leaves of a singular covariance when the pivots are
 * used up is left out, since its roots would be far above rounding. */
static int decompose(double *covariance, int64_t n, struct factor *factor, struct error *error)
{
    lapack_int rank = 0, *pivot = calloc((size_t)n, sizeof *pivot);
    const double usual = -1;
    if (!pivot)
        return error_set(error, "out of memory");
    int status = LAPACKE_dpstrf(LAPACK_COL_MAJOR, 'U', (lapack_int)n, covariance, (lapack_int)n,
                                pivot, &rank, usual);
    for (int64_t i = 0; i < rank && status >= 0; i++)
        for (int64_t k = i; k < n; k++)
            factor->row[i * n + pivot[k] - 1] = covariance[k * n + i];
    factor->rows = rank;
    free(pivot);
    return status >= 0 ? 0 : error_set(error, "a covariance is not finite");
}

static int factor_of_moments(struct moments *moments, struct factor *factor, struct error *error)
{
    int64_t n = moments->features;
    moments_flush(moments);
    if (moments->count < 2)
        return error_set(error, "a covariance takes at least two vectors");
    double *covariance = malloc((size_t)(n * n) * sizeof *covariance);
    if (!covariance)
        return error_set(error, "out of memory: a covariance of %lld features", (long long)n);
    for (int64_t i = 0; i < n * n; i++)
        covariance[i] = moments->products[i] / (double)(moments->count - 1);
    int status = factor_open(factor, n, n, error);
    if (status == 0) {
        memcpy(factor->mean, moments->mean, (size_t)n * sizeof *factor->mean);
        status = decompose(covariance, n, factor, error);
        if (status)
            factor_close(factor);
    }
    free(covariance);
    return status;
}

static double times_of(const struct vectors *x, int64_t i)
{
    return x->times ? x->times[i] : 1;
}

/* The vectors that count, less their mean, each times the root of how often it counts. */
static int factor_of_rows(const struct vectors *x, int64_t rows, double count,
                          struct factor *factor, struct error *error)
{
    int64_t n = x->features;
    if (factor_open(factor, rows, n, error))
        return -1;
    for (int64_t i = 0; i < x->count; i++)
        if (times_of(x, i) > 0)
            cblas_daxpy((int)n, times_of(x, i) / count, x->vector + i * n, 1, factor->mean, 1);
    double *row = factor->row;
    for (int64_t i = 0; i < x->count; i++) {
        double root = sqrt(times_of(x, i) / (count - 1));
        for (int64_t k = 0; k < n && root > 0; k++)
            *row++ = root * (x->vector[i * n + k] - factor->mean[k]);
    }
    return 0;
}

static int factor_of_vectors(const struct vectors *x, struct factor *factor, struct error *error)
{
    struct moments moments;
    int64_t rows = 0;
    double count = 0;
    for (int64_t i = 0; i < x->count; i++) {
        rows += times_of(x, i) > 0;
        count += times_of(x, i);
    }
    if (rows <= x->features && count >= 2)
        return factor_of_rows(x, rows, count, factor, error);
    if (moments_open(&moments, x->features, error))
        return -1;
    for (int64_t i = 0; i < x->count; i++)
        for (double k = 0; k < times_of(x, i); k++)
            moments_add(&moments, x->vector + i * x->features);
    int status = factor_of_moments(&moments, factor, error);
    moments_close(&moments);
    return status;
}

/* tr((Σ_a·Σ_b)^½), the sum of the singular values of F_a·F_bᵀ. They keep to rounding of the largest
 * one where the covariances are singular too; roots of eigenvalues of the product do not. */
static int trace_of_root(const struct factor *a, const struct factor *b, double *trace,
                         struct error *error)
{
    int rows = (int)a->rows, columns = (int)b->rows, n = (int)a->features;
    int values = rows < columns ? rows : columns;
    *trace = 0;
    if (values == 0)
        return 0;
    double *product = malloc((size_t)rows * (size_t)columns * sizeof *product), none;
    double *value = calloc((size_t)values, sizeof *value);
    int status = product && value ? 0 : error_set(error, "out of memory");
    if (status == 0) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, n, 1, a->row, n, b->row,
                    n, 0, product, columns);
        if (LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', columns, rows, product, columns, value, &none, 1,
                           &none, 1))
            status = error_set(error, "the singular values of the covariances do not converge");
    }
    for (int i = 0; i < values && status == 0; i++)
        *trace += value[i];
    free(product);
    free(value);
    return status;
}

static double squares(const struct factor *factor)
{
    double sum = 0;
    for (int64_t i = 0; i < factor->rows * factor->features; i++)
        sum += factor->row[i] * factor->row[i];
    return sum;
}

static int distance_of(const struct factor *a, const struct factor *b, double *distance,
                       struct error *error)
{
    double sum = squares(a) + squares(b), trace;
    if (trace_of_root(a, b, &trace, error))
        return -1;
    for (int64_t i = 0; i < a->features; i++)
        sum += (a->mean[i] - b->mean[i]) * (a->mean[i] - b->mean[i]);
    *distance = fmax(sum - 2 * trace, 0); /* rounding can take it below */
    return 0;
}

static int check_sets(int64_t features_a, int64_t features_b, int64_t count_a, int64_t count_b,
                      struct error *error)
{
    if (features_a != features_b)
        return error_set(error, "%lld and %lld features cannot be compared", (long long)features_a,
                         (long long)features_b);
    if (count_a < 2 || count_b < 2)
        return error_set(error, "sets of %lld and %lld vectors: a covariance takes at least two",
                         (long long)count_a, (long long)count_b);
    return 0;
}

int frechet_distance(struct moments *a, struct moments *b, double *distance, struct error *error)
{
    struct factor fa = {0}, fb = {0};
    int status = check_sets(a->features, b->features, a->count, b->count, error) ||
                 factor_of_moments(a, &fa, error) || factor_of_moments(b, &fb, error) ||
                 distance_of(&fa, &fb, distance, error);
    factor_close(&fa);
    factor_close(&fb);
    return status ? -1 : 0;
}

int frechet_distance_vectors(const struct vectors *a, const struct vectors *b, double *distance,
                             struct error *error)
{
    struct factor fa = {0}, fb = {0};
    int status = check_sets(a->features, b->features, a->count, b->count, error) ||
                 factor_of_vectors(a, &fa, error) || factor_of_vectors(b, &fb, error) ||
                 distance_of(&fa, &fb, distance, error);
    factor_close(&fa);
    factor_close(&fb);
    return status ? -1 : 0;
}
