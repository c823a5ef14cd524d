#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int each_in(const char *folder, const char *name, void (*test)(const char *path))
{
    char pattern[1024];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s*.safetensors", folder, name);
    if (glob(pattern, 0, NULL, &found))
        return 0;
    int count = (int)found.gl_pathc;
    for (int i = 0; i < count; i++)
        test(found.gl_pathv[i]);
    globfree(&found);
    return count;
}

int golden_each(const char *name, void (*test)(const char *path))
{
    const char *more = getenv("GOLDEN");
    int count = each_in("testdata/goldens", name, test);
    return count + (more && *more ? each_in(more, name, test) : 0);
}

const struct safetensor *golden_tensor(const struct safetensors *file, const char *name)
{
    const struct safetensor *tensor = safetensors_find(file, name);
    if (!tensor)
        fail_msg("%s has no %s", file->path, name);
    return tensor;
}

int64_t golden_count(const struct safetensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    return count;
}

float *golden_swapped(const float *from, int64_t n, int64_t a, int64_t b, int64_t rest)
{
    float *to = malloc((size_t)(n * a * b * rest) * sizeof *to);
    assert_non_null(to);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < a; j++)
            for (int64_t k = 0; k < b; k++)
                memcpy(to + ((i * b + k) * a + j) * rest, from + ((i * a + j) * b + k) * rest,
                       (size_t)rest * sizeof *to);
    return to;
}

double golden_distance(const float *x, const float *y, int64_t count)
{
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        norm += (double)y[i] * y[i];
    }
    return sqrt(difference / (norm > 0 ? norm : 1));
}

void golden_compare(const char *what, const float *x, const float *y, int64_t count,
                    double tolerance)
{
    double distance = golden_distance(x, y, count);
    printf("    %-40s relative L2 %.1e (at most %.0e)\n", what, distance, tolerance);
    if (!(distance <= tolerance))
        fail_msg("%s: relative L2 distance %.3e is over %.0e", what, distance, tolerance);
}
