#include "lib/metrics/nearest.h"

#include "lib/metrics/similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int nearest_add(struct nearest *nearest, float *small, struct error *error)
{
    struct nearest_volume *longer =
        realloc(nearest->volume, (size_t)(nearest->count + 1) * sizeof *longer);
    if (!longer) {
        free(small);
        return error_set(error, "out of memory");
    }
    nearest->volume = longer;
    longer[nearest->count++] =
        (struct nearest_volume){.small = small, .distance = INFINITY, .match = -1};
    return 0;
}

static double distance(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)a[i] - (double)b[i];
        sum += difference * difference;
    }
    return sqrt(sum / (double)count) / INTENSITY_PEAK;
}

int nearest_compare(struct nearest *nearest, const float *small, int64_t index, const char *input,
                    struct error *error)
{
    for (int64_t i = 0; i < nearest->count; i++) {
        struct nearest_volume *volume = &nearest->volume[i];
        double found = distance(volume->small, small, nearest->values);
        if (!(found < volume->distance))
            continue;
        char *name = strdup(input);
        if (!name)
            return error_set(error, "out of memory");
        free(volume->input);
        volume->input = name;
        volume->distance = found;
        volume->match = index;
    }
    return 0;
}

void nearest_close(struct nearest *nearest)
{
    for (int64_t i = 0; i < nearest->count; i++) {
        free(nearest->volume[i].small);
        free(nearest->volume[i].input);
    }
    free(nearest->volume);
    *nearest = (struct nearest){0};
}
