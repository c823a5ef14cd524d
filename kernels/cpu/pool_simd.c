#include "kernels/cpu/vector.h"

static void maximum(const float *const *rows, int count, int64_t c, float *out)
{
    memcpy(out, rows[0], (size_t)c * sizeof *out);
    for (int k = 1; k < count; k++) {
        const float *row = rows[k];
#pragma GCC ivdep
        for (int64_t j = 0; j < c; j++)
            out[j] = row[j] > out[j] ? row[j] : out[j];
    }
}

static void sum(const float *const *rows, int count, int64_t c, float factor, float *out)
{
    memcpy(out, rows[0], (size_t)c * sizeof *out);
    for (int k = 1; k < count; k++) {
        const float *row = rows[k];
#pragma GCC ivdep
        for (int64_t j = 0; j < c; j++)
            out[j] += row[j];
    }
    for (int64_t j = 0; j < c; j++)
        out[j] *= factor;
}

const struct pool_simd SIMD_NAME(pool_simd) = {maximum, sum};
