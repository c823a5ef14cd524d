#include "lib/metrics/feature_set.h"

#include <stdlib.h>
#include <string.h>

static int keep(struct feature_set *set, const double *vector, struct error *error)
{
    size_t bytes = (size_t)set->features * sizeof *vector;
    if (set->count == set->room) {
        int64_t room = set->room ? 2 * set->room : 64;
        double *grown = realloc(set->vector, (size_t)room * bytes);
        if (!grown)
            return error_set(error, "out of memory: features of %lld slices", (long long)room);
        set->vector = grown;
        set->room = room;
    }
    memcpy(set->vector + set->count * set->features, vector, bytes);
    return 0;
}

int feature_set_add(struct feature_set *set, const double *vector, int64_t features,
                    struct error *error)
{
    if (!set->features && set->takes_moments && moments_open(&set->moments, features, error))
        return -1;
    set->features = features;
    if (set->keeps_vectors && keep(set, vector, error))
        return -1;
    if (set->takes_moments)
        moments_add(&set->moments, vector);
    set->count++;
    return 0;
}

void feature_set_close(struct feature_set *set)
{
    moments_close(&set->moments);
    free(set->vector);
    *set = (struct feature_set){0};
}

int64_t feature_set_bytes(const struct feature_set *set)
{
    int64_t rows = set->room + (set->takes_moments ? set->features + MOMENTS_BLOCK + 2 : 0);
    return rows * set->features * (int64_t)sizeof(double);
}

struct vectors feature_set_vectors(const struct feature_set *set)
{
    return (struct vectors){set->features, set->count, set->vector, NULL};
}
