#include "kernels/cpu/convert.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <string.h>

static float f16_value(uint16_t x)
{
    int exponent = x >> 10 & 0x1f;
    float fraction = (float)(x & 0x3ff), value;
    if (exponent == 0)
        value = ldexpf(fraction, -24);
    else if (exponent == 31)
        value = fraction == 0.0f ? INFINITY : NAN;
    else
        value = ldexpf(fraction + 1024.0f, exponent - 25);
    return x & 0x8000 ? -value : value;
}

void weight_to_f32(const struct weight *weight, int64_t first, int64_t count, float *out)
{
    int64_t size = dtype_size(weight->dtype);
    const char *from = (const char *)weight->data + first * size;
    if (weight->dtype == DTYPE_F32) {
        memcpy(out, from, (size_t)(count * size));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, from + i * size, sizeof bits);
        if (weight->dtype == DTYPE_F16) {
            out[i] = f16_value(bits);
        } else {
            uint32_t wide = (uint32_t)bits << 16;
            memcpy(&out[i], &wide, sizeof wide);
        }
    }
}

void f32_to_bf16(const float *from, uint16_t *to, int64_t count)
{
    simd()->convert->f32_to_bf16(from, to, count);
}

void bf16_to_f32(const uint16_t *from, float *to, int64_t count)
{
    simd()->convert->bf16_to_f32(from, to, count);
}

const float *activation_to_f32(const void *data, enum dtype dtype, int64_t first, int64_t count,
                               float *buffer)
{
    if (dtype == DTYPE_F32)
        return (const float *)data + first;
    bf16_to_f32((const uint16_t *)data + first, buffer, count);
    return buffer;
}
