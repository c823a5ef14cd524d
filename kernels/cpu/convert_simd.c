#include "kernels/cpu/transpose.h"

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
static void transpose_block(const float *const *from, int64_t rows, int64_t j, int64_t count,
                            float factor, float *to, int64_t step)
{
    __m512 r[LANES];
    __mmask16 mask = (__mmask16)((1u << count) - 1);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        r[i] = i < rows ? _mm512_maskz_loadu_ps(mask, from[i] + j) : _mm512_setzero_ps();
    transpose_registers(r);
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
