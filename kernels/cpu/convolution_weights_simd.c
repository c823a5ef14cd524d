#include "kernels/cpu/transpose.h"

/* A tile of the product stays in registers: 8×3 sums of 32 registers with AVX-512, 4×3 of 16 with
 * AVX2 (fused multiply-add takes no temporary), 4×2 of 16 without. */
#if defined __AVX512F__
enum { ROWS = 8, VECTORS = 3 };
#elif defined __AVX2__
enum { ROWS = 4, VECTORS = 3 };
#else
enum { ROWS = 4, VECTORS = 2 };
#endif

static void pack(const void *const *pixel, enum dtype dtype, int64_t steps, int64_t first,
                 int64_t channels, int64_t width, float *to)
{
    for (int64_t s = 0; s < steps; s++, to += width) {
        if (dtype == DTYPE_F32)
            memcpy(to, (const float *)pixel[s] + first, (size_t)channels * sizeof *to);
        else
            for (int64_t i = 0; i < channels; i++)
                to[i] = bf16_value(((const uint16_t *)pixel[s])[first + i]);
        memset(to + channels, 0, (size_t)(width - channels) * sizeof *to);
    }
}

/* The bits of a pair are held in a float. */
static void pack_pairs(const void *const *pixel, int64_t steps, int64_t first, int64_t channels,
                       int64_t width, float *to)
{
    for (int64_t s = 0; s < steps; s++, to += width) {
        const uint16_t *even = (const uint16_t *)pixel[2 * s] + first;
        const uint16_t *odd = (const uint16_t *)pixel[2 * s + 1] + first;
#pragma GCC ivdep
        for (int64_t i = 0; i < channels; i++)
            to[i] = bits_float(even[i] | (uint32_t)odd[i] << 16);
        memset(to + channels, 0, (size_t)(width - channels) * sizeof *to);
    }
}

INLINE void tile(const int vectors, int64_t steps, const float *a, int64_t a_step, const float *b,
                 float *c)
{
    vector sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = load(c + (i * vectors + v) * LANES);
    for (int64_t s = 0; s < steps; s++, a += a_step, b += vectors * LANES) {
        vector row[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            row[v] = load(b + v * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[i][v] += a[i] * row[v];
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(c + (i * vectors + v) * LANES, sum[i][v]);
}

static void multiply(int vectors, int64_t steps, const float *a, int64_t a_step, const float *b,
                     float *c)
{
    if (VECTORS > 2 && vectors == 3)
        tile(3, steps, a, a_step, b, c);
    else if (vectors == 2)
        tile(2, steps, a, a_step, b, c);
    else
        tile(1, steps, a, a_step, b, c);
}

#if defined __AVX512F__
#define BF16_PRODUCTS __attribute__((target("avx512bf16")))

INLINE BF16_PRODUCTS void tile_bf16(const int vectors, int64_t steps, const float *a,
                                    int64_t a_step, const float *b, float *c)
{
    __m512 sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = _mm512_loadu_ps(c + (i * vectors + v) * LANES);
    for (int64_t s = 0; s < steps; s++, a += a_step, b += vectors * LANES) {
        __m512i row[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            row[v] = _mm512_loadu_si512(b + v * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            __m512i both = _mm512_castps_si512(_mm512_set1_ps(a[i]));
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[i][v] = _mm512_dpbf16_ps(sum[i][v], (__m512bh)both, (__m512bh)row[v]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            _mm512_storeu_ps(c + (i * vectors + v) * LANES, sum[i][v]);
}

static BF16_PRODUCTS void multiply_bf16(int vectors, int64_t steps, const float *a, int64_t a_step,
                                        const float *b, float *c)
{
    if (vectors == 3)
        tile_bf16(3, steps, a, a_step, b, c);
    else if (vectors == 2)
        tile_bf16(2, steps, a, a_step, b, c);
    else
        tile_bf16(1, steps, a, a_step, b, c);
}
#endif

static void sum_rows(struct rows x, int64_t count, int64_t channels, float *to)
{
    if (x.dtype == DTYPE_F32)
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < channels; j++)
                to[j] += value_at(x.data, DTYPE_F32, i * x.stride + j);
    else
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < channels; j++)
                to[j] += value_at(x.data, DTYPE_BF16, i * x.stride + j);
}

static void add(const float *from, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] += from[i];
}

/* Channels first … count−1. */
static void add_transposed_plain(const float *from, int64_t from_step, int64_t taps, int64_t first,
                                 int64_t count, float factor, float *to, int64_t to_step)
{
    for (int64_t j = first; j < count; j++)
#pragma GCC ivdep
        for (int64_t t = 0; t < taps; t++)
            to[j * to_step + t] += factor * from[t * from_step + j];
}

#if defined __AVX512F__
/* 16 channels of some taps, 16 at most. */
static void add_transposed_block(const float *from, int64_t from_step, int64_t taps, float factor,
                                 float *to, int64_t to_step)
{
    __m512 r[LANES];
    __mmask16 mask = (__mmask16)((1u << taps) - 1);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        r[i] = i < taps ? _mm512_loadu_ps(from + i * from_step) : _mm512_setzero_ps();
    transpose_registers(r);
#pragma GCC unroll 16
    for (int k = 0; k < LANES; k++) {
        __m512 old = _mm512_maskz_loadu_ps(mask, to + k * to_step);
        _mm512_mask_storeu_ps(to + k * to_step, mask, old + factor * r[k]);
    }
}
#endif

static void add_transposed(const float *from, int64_t from_step, int64_t taps, int64_t count,
                           float factor, float *to, int64_t to_step)
{
    int64_t done = 0;
#if defined __AVX512F__
    for (int64_t j = 0; to_step == taps && j < count * taps; j += LANES)
        __builtin_prefetch(to + j, 1);
    for (; taps > 1 && done + LANES <= count; done += LANES)
        for (int64_t t = 0; t < taps; t += LANES)
            add_transposed_block(from + t * from_step + done, from_step,
                                 taps - t < LANES ? taps - t : LANES, factor,
                                 to + done * to_step + t, to_step);
#endif
    add_transposed_plain(from, from_step, taps, done, count, factor, to, to_step);
}

const struct convolution_weights_simd SIMD_NAME(convolution_weights_simd) = {
    .lanes = LANES,
    .rows = ROWS,
    .vectors = VECTORS,
    .pack = pack,
    .pack_pairs = pack_pairs,
    .multiply = multiply,
#if defined __AVX512F__
    .multiply_bf16 = multiply_bf16,
#endif
    .sum_rows = sum_rows,
    .add = add,
    .add_transposed = add_transposed,
};
