#include "kernels/cpu/vector.h"

static void add_pairs(const float *from, float *restrict to, int64_t count, int64_t c, bool first)
{
    for (int64_t i = 0; i < count; i++) {
        const float *even = from + 2 * i * c, *odd = even + c;
        float *sum = to + i * c;
        if (first) {
#pragma GCC ivdep
            for (int64_t j = 0; j < c; j++)
                sum[j] = even[j] + odd[j];
        } else {
#pragma GCC ivdep
            for (int64_t j = 0; j < c; j++)
                sum[j] += even[j] + odd[j];
        }
    }
}

static void scale(float *values, int64_t count, float factor)
{
    for (int64_t i = 0; i < count; i++)
        values[i] *= factor;
}

const struct resample_simd SIMD_NAME(resample_simd) = {add_pairs, scale};
