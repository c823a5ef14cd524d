#include "lib/io/array.h"

#include "lib/io/half.h"

#include <math.h>
#include <string.h>

static float bfloat_to_f32(uint16_t bfloat)
{
    uint32_t bits = (uint32_t)bfloat << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define CONVERT(type, real, value)                                                                 \
    {                                                                                              \
        const type *element = from;                                                                \
        for (int64_t i = 0; i < count; i++)                                                        \
            to[i] = (real)(value);                                                                 \
        break;                                                                                     \
    }

/* `from`, of `dtype`, to the `count` numbers `to`. */
#define CONVERT_ANY(real)                                                                          \
    switch (dtype) {                                                                               \
    case DTYPE_F32:                                                                                \
        CONVERT(float, real, element[i])                                                           \
    case DTYPE_F16:                                                                                \
        CONVERT(uint16_t, real, half_to_f32(element[i]))                                           \
    case DTYPE_BF16:                                                                               \
        CONVERT(uint16_t, real, bfloat_to_f32(element[i]))                                         \
    case DTYPE_F64:                                                                                \
        CONVERT(double, real, element[i])                                                          \
    case DTYPE_U8:                                                                                 \
        CONVERT(uint8_t, real, element[i])                                                         \
    case DTYPE_I8:                                                                                 \
        CONVERT(int8_t, real, element[i])                                                          \
    case DTYPE_U16:                                                                                \
        CONVERT(uint16_t, real, element[i])                                                        \
    case DTYPE_I16:                                                                                \
        CONVERT(int16_t, real, element[i])                                                         \
    case DTYPE_U32:                                                                                \
        CONVERT(uint32_t, real, element[i])                                                        \
    case DTYPE_I32:                                                                                \
        CONVERT(int32_t, real, element[i])                                                         \
    case DTYPE_U64:                                                                                \
        CONVERT(uint64_t, real, element[i])                                                        \
    case DTYPE_I64:                                                                                \
        CONVERT(int64_t, real, element[i])                                                         \
    case DTYPE_BOOL:                                                                               \
        CONVERT(uint8_t, real, element[i] != 0)                                                    \
    }

void array_to_f32(const void *from, enum dtype dtype, float *to, int64_t count)
{
    CONVERT_ANY(float)
}

void array_to_f64(const void *from, enum dtype dtype, double *to, int64_t count)
{
    CONVERT_ANY(double)
}

/* To an f32 that rounds on to f2 as the double itself would: an inexact value gets an odd last bit,
 * so that it is never taken for a tie. */
static float round_to_odd(double value)
{
    float near = (float)value;
    if (!isfinite(near) || (double)near == value)
        return near;
    if (fabs((double)near) > fabs(value))
        near = nextafterf(near, 0);
    uint32_t bits;
    memcpy(&bits, &near, sizeof bits);
    bits |= 1;
    memcpy(&near, &bits, sizeof near);
    return near;
}

static uint16_t bfloat_from_f64(double value)
{
    float odd = round_to_odd(value);
    uint32_t bits;
    memcpy(&bits, &odd, sizeof bits);
    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#define STORE(type, value)                                                                         \
    {                                                                                              \
        type *element = to;                                                                        \
        for (int64_t i = 0; i < count; i++)                                                        \
            element[i] = (type)(value);                                                            \
        break;                                                                                     \
    }

/* low and high are the type's bounds; reals at or beyond them become them. */
#define STORE_INTEGER(type, low, high)                                                             \
    {                                                                                              \
        type *element = to;                                                                        \
        for (int64_t i = 0; i < count; i++) {                                                      \
            double value = rint(from[i]);                                                          \
            nan += value != value;                                                                 \
            element[i] = value != value            ? 0                                             \
                         : value <= (double)(low)  ? (low)                                         \
                         : value >= (double)(high) ? (high)                                        \
                                                   : (type)value;                                  \
        }                                                                                          \
        break;                                                                                     \
    }

int64_t array_from_f64(const double *from, enum dtype dtype, void *to, int64_t count)
{
    int64_t nan = 0;
    switch (dtype) {
    case DTYPE_F32:
        STORE(float, from[i])
    case DTYPE_F16:
        STORE(uint16_t, half_from_f32(round_to_odd(from[i])))
    case DTYPE_BF16:
        STORE(uint16_t, bfloat_from_f64(from[i]))
    case DTYPE_F64:
        STORE(double, from[i])
    case DTYPE_U8:
        STORE_INTEGER(uint8_t, 0, UINT8_MAX)
    case DTYPE_I8:
        STORE_INTEGER(int8_t, INT8_MIN, INT8_MAX)
    case DTYPE_U16:
        STORE_INTEGER(uint16_t, 0, UINT16_MAX)
    case DTYPE_I16:
        STORE_INTEGER(int16_t, INT16_MIN, INT16_MAX)
    case DTYPE_U32:
        STORE_INTEGER(uint32_t, 0, UINT32_MAX)
    case DTYPE_I32:
        STORE_INTEGER(int32_t, INT32_MIN, INT32_MAX)
    case DTYPE_U64:
        STORE_INTEGER(uint64_t, 0, UINT64_MAX)
    case DTYPE_I64:
        STORE_INTEGER(int64_t, INT64_MIN, INT64_MAX)
    case DTYPE_BOOL:
        for (int64_t i = 0; i < count; i++)
            nan += from[i] != from[i];
        STORE(uint8_t, from[i] != 0 && from[i] == from[i])
    }
    return nan;
}

int64_t array_from_f32(const float *from, enum dtype dtype, void *to, int64_t count)
{
    enum { PIECE = 1024 };
    double value[PIECE];
    int64_t nan = 0;
    for (int64_t done = 0, part; done < count; done += part) {
        part = count - done < PIECE ? count - done : PIECE;
        array_to_f64(from + done, DTYPE_F32, value, part);
        nan += array_from_f64(value, dtype, (unsigned char *)to + done * dtype_size(dtype), part);
    }
    return nan;
}

void array_swap_bytes(void *elements, int64_t count, int64_t size)
{
    unsigned char *data = elements;
    for (int64_t i = 0; i < count; i++, data += size)
        for (int64_t low = 0, high = size - 1; low < high; low++, high--) {
            unsigned char byte = data[low];
            data[low] = data[high];
            data[high] = byte;
        }
}
