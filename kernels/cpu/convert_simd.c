#include "kernels/cpu/vector.h"

static void f32_to_bf16(const float *from, uint16_t *to, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        to[i] = bf16_nearest(from[i]);
}

static void bf16_to_f32(const uint16_t *from, float *to, int64_t count)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++)
        to[i] = bf16_value(from[i]);
}

const struct convert_simd SIMD_NAME(convert_simd) = {f32_to_bf16, bf16_to_f32};
