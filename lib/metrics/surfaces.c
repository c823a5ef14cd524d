#include "lib/metrics/surfaces.h"

#include <math.h>

double surface_distance(const float *a, const float *b, int64_t count)
{
    if (count == 0)
        return NAN;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += fabs((double)a[i] - (double)b[i]);
    return sum / (double)count;
}
