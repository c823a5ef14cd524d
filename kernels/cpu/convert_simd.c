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

/* From element j on: `count` of them, LANES at most, element by element. */
static void transpose_plain(const float *const *from, int64_t rows, int64_t j, int64_t count,
                            float factor, float *to, int64_t width, int64_t step)
{
    for (int64_t k = 0; k < count; k++) {
        for (int64_t i = 0; i < rows; i++)
            to[k * step + i] = factor * from[i][j + k];
        for (int64_t i = rows; i < width; i++)
            to[k * step + i] = 0.0f;
    }
}

#if defined __AVX512F__
#include <immintrin.h>

enum { QUAD = 4 };

/* Transpose 4×4 blocks within the quarters of four registers. */
INLINE void transpose_quads(__m512 r[QUAD])
{
    __m512d low[2], high[2];
    for (int k = 0; k < 2; k++) {
        low[k] = _mm512_castps_pd(_mm512_unpacklo_ps(r[2 * k], r[2 * k + 1]));
        high[k] = _mm512_castps_pd(_mm512_unpackhi_ps(r[2 * k], r[2 * k + 1]));
    }
    r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1]));
    r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1]));
    r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1]));
    r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1]));
}

/* Transpose the quarters of registers k, k + 4, k + 8 and k + 12. */
INLINE void transpose_quarters(__m512 r[LANES], int k)
{
    __m512 low[2], high[2];
    for (int i = 0; i < 2; i++) {
        low[i] = _mm512_shuffle_f32x4(r[k + 8 * i], r[k + 8 * i + QUAD], 0x44);
        high[i] = _mm512_shuffle_f32x4(r[k + 8 * i], r[k + 8 * i + QUAD], 0xee);
    }
    r[k] = _mm512_shuffle_f32x4(low[0], low[1], 0x88);
    r[k + 4] = _mm512_shuffle_f32x4(low[0], low[1], 0xdd);
    r[k + 8] = _mm512_shuffle_f32x4(high[0], high[1], 0x88);
    r[k + 12] = _mm512_shuffle_f32x4(high[0], high[1], 0xdd);
}

static void transpose_block(const float *const *from, int64_t rows, int64_t j, int64_t count,
                            float factor, float *to, int64_t step)
{
    __m512 r[LANES];
    __mmask16 mask = (__mmask16)((1u << count) - 1);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        r[i] = i < rows ? _mm512_maskz_loadu_ps(mask, from[i] + j) : _mm512_setzero_ps();
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += QUAD)
        transpose_quads(r + i);
#pragma GCC unroll 4
    for (int k = 0; k < QUAD; k++)
        transpose_quarters(r, k);
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++)
        if (k < count)
            _mm512_storeu_ps(to + k * step, _mm512_set1_ps(factor) * r[k]);
}
#endif

static void transpose(const float *const *from, int64_t rows, int64_t count, float factor,
                      float *to, int64_t width, int64_t step)
{
    for (int64_t j = 0; j < count; j += LANES, to += LANES * step) {
        int64_t some = count - j < LANES ? count - j : LANES;
#if defined __AVX512F__
        const int64_t few = 4;
        if (width == LANES && some >= few) {
            transpose_block(from, rows, j, some, factor, to, step);
            continue;
        }
#endif
        transpose_plain(from, rows, j, some, factor, to, width, step);
    }
}

const struct convert_simd SIMD_NAME(convert_simd) = {f32_to_bf16, bf16_to_f32, transpose};
