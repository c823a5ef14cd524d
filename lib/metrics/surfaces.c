#include "lib/metrics/surfaces.h"

#include <math.h>

double surface_distance(const float *a, const float *b, int64_t count, int64_t *left_out)
{
    double sum = 0;
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(a[i]) && isfinite(b[i])) {
            sum += fabs((double)a[i] - (double)b[i]);
            found++;
        }
    *left_out += count - found;
    return found ? sum / (double)found : NAN;
}
