/* For the files NAME_simd.c alone: names, vectors, bf16, and exp in f32. Loops over float are
 * written so that the compiler vectorizes these scalar functions. */
#ifndef OCTPIPE_KERNELS_CPU_VECTOR_H
#define OCTPIPE_KERNELS_CPU_VECTOR_H

#include "kernels/cpu/simd.h"

#include <string.h>

#define SIMD_PASTE_(name, set) name##_##set
#define SIMD_PASTE(name, set) SIMD_PASTE_(name, set)
#define SIMD_NAME(name) SIMD_PASTE(name, SIMD)

#if defined __AVX512F__
enum { LANES = 16 };
#elif defined __AVX2__
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

/* A tile of a product of matrices stays in registers: 8×3 sums of 32 registers with AVX-512, 4×3 of
 * 16 with AVX2 (fused multiply-add takes no temporary), 4×2 of 16 without. The right matrix is
 * packed in panels of as many columns. */
#if defined __AVX512F__
enum { TILE_ROWS = 8, TILE_VECTORS = 3 };
#elif defined __AVX2__
enum { TILE_ROWS = 4, TILE_VECTORS = 3 };
#else
enum { TILE_ROWS = 4, TILE_VECTORS = 2 };
#endif
enum { PANEL = TILE_VECTORS * LANES, COLUMNS_MULTIPLE = 16 };

#define INLINE static inline __attribute__((always_inline))

/* A vector register of floats, and one that may lie at any address of a float array. */
typedef float vector __attribute__((vector_size(LANES * 4)));
typedef float vector_unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint32_t word_vector __attribute__((vector_size(LANES * 4)));

INLINE vector load(const float *p)
{
    return *(const vector_unaligned *)p;
}

INLINE void store(float *p, vector v)
{
    *(vector_unaligned *)p = v;
}

INLINE vector broadcast(float x)
{
    return x - (vector){0};
}

/* What is below 0 becomes 0; NaN stays. */
INLINE vector rectified(vector v)
{
    return (vector)((word_vector)v & ~(word_vector)(v < 0.0f));
}

/* As many bf16 values; to f32, and back to nearest, ties to even (NaN stays a quiet NaN). */
typedef uint16_t bf16_vector __attribute__((vector_size(LANES * 2)));
typedef uint16_t bf16_vector_unaligned
    __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

INLINE vector widen(bf16_vector v)
{
    return (vector)(__builtin_convertvector(v, word_vector) << 16);
}

INLINE bf16_vector narrow(vector v)
{
    word_vector bits = (word_vector)v, nan = (word_vector)(v != v);
    word_vector rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return __builtin_convertvector((rounded & ~nan) | ((bits >> 16 | 0x40) & nan), bf16_vector);
}

/* `count` values, LANES or fewer, of an f32 or bf16 array from element `at` on. A constant dtype
 * leaves no more than the access. */
INLINE vector load_as(const void *from, enum dtype dtype, int64_t at, int64_t count)
{
    vector v = {0};
    if (dtype == DTYPE_BF16) {
        bf16_vector half = {0};
        if (count == LANES)
            return widen(*(const bf16_vector_unaligned *)((const uint16_t *)from + at));
        memcpy(&half, (const uint16_t *)from + at, (size_t)count * sizeof(uint16_t));
        return widen(half);
    }
    if (count == LANES)
        return load((const float *)from + at);
    memcpy(&v, (const float *)from + at, (size_t)count * sizeof(float));
    return v;
}

INLINE void store_as(void *to, enum dtype dtype, int64_t at, vector v, int64_t count)
{
    if (dtype == DTYPE_BF16) {
        bf16_vector half = narrow(v);
        memcpy((uint16_t *)to + at, &half, (size_t)count * sizeof(uint16_t));
    } else {
        memcpy((float *)to + at, &v, (size_t)count * sizeof(float));
    }
}

/* The sum of the lanes, halves added to halves. */
INLINE float lane_sum(vector v)
{
    float lane[LANES];
    store(lane, v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

INLINE uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE float bf16_value(uint16_t x)
{
    return bits_float((uint32_t)x << 16);
}

/* Element i of an f32 or bf16 array; with a constant dtype no more than the access. */
INLINE float value_at(const void *data, enum dtype dtype, int64_t i)
{
    return dtype == DTYPE_F32 ? ((const float *)data)[i] : bf16_value(((const uint16_t *)data)[i]);
}

/* To nearest, ties to even; NaN stays a (quiet) NaN. */
INLINE uint16_t bf16_nearest(float x)
{
    uint32_t bits = float_bits(x);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(x != x ? bits >> 16 | 0x40 : rounded);
}

/* e^x within 1e-7 of itself for x up to 88, and not for more; 0 below −87.7, NaN for NaN.
 * x = n·ln 2 + r with |r| ≤ ln 2 / 2, and e^r by a polynomial of degree 6 (4e-9 off). ln 2 is
 * split so that n times its first part is exact; adding 1.5·2^23 rounds to an integer, whose low
 * bits then hold n. */
INLINE float exp_f32(float x)
{
    const float shift = 12582912.0f;
    x = -88.0f > x ? -88.0f : x;
    float t = x * 1.44269504f + shift;
    float n = t - shift;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.37450593e-3f;
    p = p * r + 8.36895313e-3f;
    p = p * r + 4.16696519e-2f;
    p = p * r + 1.66665182e-1f;
    p = p * r + 4.99999881e-1f;
    p = (p * r) * r + r + 1.0f;
    return p * bits_float((float_bits(t) + 127) << 23);
}

/* x/(1 + e^−x); 0 (a denormal) at −∞. */
INLINE float silu_f32(float x)
{
    x = -88.0f > x ? -88.0f : x;
    return x / (1.0f + exp_f32(-x));
}

/* The derivative of silu_f32. */
INLINE float silu_slope_f32(float x)
{
    x = -88.0f > x ? -88.0f : x;
    float s = 1.0f / (1.0f + exp_f32(-x));
    return s * (1.0f + x * (1.0f - s));
}

#endif
