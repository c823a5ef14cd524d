#include "lib/metrics/resample.h"
#include "lib/core/random.h"
#include "lib/metrics/kid.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { SUBSET, REPLACE }; /* the key's step */

static const double quantiles[2] = {0.025, 0.975};

/* Number `index` of a row of numbers below `count`; each is as likely as the others to count/2^32.
 */
static int64_t number_below(const struct random_key *key, int64_t index, int64_t count)
{
    uint32_t word[4];
    random_block(key, (uint64_t)index, word);
    return (int64_t)((uint64_t)word[0] * (uint64_t)count >> 32);
}

/* Floyd's sampling (Bentley and Floyd 1987): every subset is as likely. */
void resample_subset(uint64_t seed, int set, int64_t part, int64_t count, int64_t size,
                     double *times)
{
    const struct random_key key = {seed, RANDOM_RESAMPLE, set, part, SUBSET};
    for (int64_t i = 0; i < count; i++)
        times[i] = 0;
    for (int64_t i = count - size; i < count; i++) {
        int64_t drawn = number_below(&key, i, i + 1);
        times[times[drawn] > 0 ? i : drawn] = 1;
    }
}

void resample_replace(uint64_t seed, int set, int64_t part, int64_t count, double *times)
{
    const struct random_key key = {seed, RANDOM_RESAMPLE, set, part, REPLACE};
    for (int64_t i = 0; i < count; i++)
        times[i] = 0;
    for (int64_t i = 0; i < count; i++)
        times[number_below(&key, i, count)]++;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double resample_quantile(double *values, int64_t count, double quantile)
{
    double place = quantile * (double)(count - 1);
    int64_t below = (int64_t)place, above = below + 1 < count ? below + 1 : below;
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[below] + (place - (double)below) * (values[above] - values[below]);
}

static void set_interval(double *values, int64_t count, double interval[2])
{
    for (int i = 0; i < 2; i++)
        interval[i] = resample_quantile(values, count, quantiles[i]);
}

/* The distance of part `part`. times: of a, then of b. */
static int frechet_part(const struct vectors *a, const struct vectors *b, uint64_t seed,
                        int64_t part, double *times, double *distance, struct error *error)
{
    struct vectors of_a = *a, of_b = *b;
    resample_replace(seed, 0, part, a->count, times);
    resample_replace(seed, 1, part, b->count, times + a->count);
    of_a.times = times;
    of_b.times = times + a->count;
    return frechet_distance_vectors(&of_a, &of_b, distance, error);
}

int resample_frechet(const struct vectors *a, const struct vectors *b, uint64_t seed, int64_t parts,
                     double interval[2], struct error *error)
{
    int64_t count = a->count + b->count;
    double *distance = calloc((size_t)parts, sizeof *distance);
    int status = distance ? 0 : error_set(error, "out of memory");
    openblas_set_num_threads(1);
#pragma omp parallel for schedule(dynamic)
    for (int64_t part = 0; part < parts; part++) {
        struct error why = {""};
        double *times = status ? NULL : malloc((size_t)count * sizeof *times);
        if (times && !frechet_part(a, b, seed, part, times, &distance[part], &why)) {
            free(times);
            continue;
        }
#pragma omp critical
        if (!status)
            status = times ? error_set(error, "%s", why.text) : error_set(error, "out of memory");
        free(times);
    }
    if (status == 0)
        set_interval(distance, parts, interval);
    free(distance);
    return status;
}

/* Kernel inception distances of parts: subsets of `size` vectors; 0: drawn with replacement. */
static int kid_parts(const struct vectors *a, const struct vectors *b, uint64_t seed, int64_t parts,
                     int64_t size, double *estimate, struct error *error)
{
    const struct vectors *const of[2] = {a, b};
    double *times[2] = {NULL};
    int status = 0;
    for (int set = 0; set < 2 && status == 0; set++) {
        int64_t count = of[set]->count;
        times[set] = malloc((size_t)parts * (size_t)count * sizeof **times);
        if (!times[set])
            status = error_set(error, "out of memory: %lld parts of %lld slices", (long long)parts,
                               (long long)count);
        for (int64_t part = 0; part < parts && times[set]; part++)
            if (size)
                resample_subset(seed, set, part, count, size, times[set] + part * count);
            else
                resample_replace(seed, set, part, count, times[set] + part * count);
    }
    if (status == 0)
        status = kid_estimate(a, b, times[0], times[1], parts, estimate, error);
    free(times[0]);
    free(times[1]);
    return status;
}

int resample_kid(const struct vectors *a, const struct vectors *b, uint64_t seed, int64_t parts,
                 double interval[2], struct error *error)
{
    double *estimate = calloc((size_t)parts, sizeof *estimate);
    int status = estimate ? kid_parts(a, b, seed, parts, 0, estimate, error)
                          : error_set(error, "out of memory");
    if (status == 0)
        set_interval(estimate, parts, interval);
    free(estimate);
    return status;
}

int resample_kid_subsets(const struct vectors *a, const struct vectors *b, uint64_t seed,
                         int64_t parts, int64_t size, struct spread *spread, struct error *error)
{
    double *estimate = calloc((size_t)parts, sizeof *estimate);
    int status = estimate ? kid_parts(a, b, seed, parts, size, estimate, error)
                          : error_set(error, "out of memory");
    for (int64_t part = 0; part < parts && status == 0; part++)
        spread_add(spread, estimate[part]);
    free(estimate);
    return status;
}
