#include "lib/io/volume.h"

#include <math.h>
#include <string.h>

void volume_to_f32(const void *from, enum dtype dtype, float *to, int64_t count)
{
    const uint8_t *bytes = from;
    if (dtype != DTYPE_U8)
        memmove(to, from, (size_t)count * sizeof *to);
    else
        for (int64_t i = 0; i < count; i++)
            to[i] = (float)bytes[i] / 127.5f - 1.0f;
}

void volume_to_u8(const float *from, uint8_t *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double scaled = floor(((double)from[i] + 1) * 127.5 + 0.5);
        to[i] = scaled > 0 ? (uint8_t)(scaled < 255 ? scaled : 255) : 0;
    }
}

void volume_to_u16(const float *from, uint16_t *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        double scaled = floor(((double)from[i] + 1) * 32767.5 + 0.5);
        to[i] = scaled > 0 ? (uint16_t)(scaled < 65535 ? scaled : 65535) : 0;
    }
}
