#include "kernels/cpu/vector.h"

INLINE void finish_pixel(const struct convolution_sums *s, enum dtype dtype, int64_t pixel,
                         int64_t channel, int64_t count)
{
    vector v = load_as(s->sums, DTYPE_F32, pixel * s->sum_step + channel, count) +
               load_as(s->bias, DTYPE_F32, channel, count);
    if (s->residual)
        v += s->beta * load_as(s->residual, dtype, pixel * s->step + channel, count);
    if (s->relu)
        v = rectified(v);
    store_as(s->output, dtype, pixel * s->step + channel, v, count);
}

INLINE void finish_pixels(const struct convolution_sums *s, enum dtype dtype)
{
    int64_t whole = s->channels / LANES * LANES;
    for (int64_t i = 0; i < s->pixels; i++) {
        for (int64_t c = 0; c < whole; c += LANES)
            finish_pixel(s, dtype, i, c, LANES);
        if (whole < s->channels)
            finish_pixel(s, dtype, i, whole, s->channels - whole);
    }
}

static void finish(const struct convolution_sums *s)
{
    if (s->dtype == DTYPE_BF16)
        finish_pixels(s, DTYPE_BF16);
    else
        finish_pixels(s, DTYPE_F32);
}

/* Columns that lie in one panel whatever the instruction set's. */
enum { PIECE = PANEL % COLUMNS_MULTIPLE ? COLUMNS_MULTIPLE / 2 : COLUMNS_MULTIPLE };

/* Row `row` of the panel of a packed matrix that holds `column`, elements before that column; the
 * row is *columns long. */
INLINE int64_t panel_at(int64_t row, int64_t column, int64_t depth, int64_t *columns)
{
    int64_t start = column / PANEL * PANEL, rest = *columns - start;
    *columns = rest < PANEL ? rest : PANEL;
    return start * depth + row * *columns;
}

static void place_f32(const float *from, int64_t step, int64_t first, int64_t count, int64_t column,
                      int64_t depth, int64_t columns, float *b)
{
    for (int64_t k = 0; k < COLUMNS_MULTIPLE; k += PIECE, column += PIECE) {
        int64_t row = columns;
        float *to = b + panel_at(first, column, depth, &row) + column % PANEL;
        for (int64_t i = 0; i < count; i++)
            memcpy(to + i * row, from + i * step + k, PIECE * sizeof *to);
    }
}

/* Two depths of a column lie side by side. */
static void place_bf16(const float *from, int64_t step, int64_t first, int64_t count,
                       int64_t column, int64_t depth, int64_t columns, uint16_t *b)
{
    static const float zeros[COLUMNS_MULTIPLE];
    for (int64_t k = 0; k < COLUMNS_MULTIPLE; k += PIECE, column += PIECE) {
        int64_t row = columns;
        uint16_t *to = b + panel_at(first, column, depth, &row) + column % PANEL * 2;
        for (int64_t i = 0; i < count; i += 2) {
            const float *even = from + i * step + k, *odd = i + 1 < count ? even + step : zeros;
            uint32_t pair[PIECE];
            for (int j = 0; j < PIECE; j++)
                pair[j] = bf16_nearest(even[j]) | (uint32_t)bf16_nearest(odd[j]) << 16;
            memcpy(to + i * row, pair, sizeof pair);
        }
    }
}

/* bf16 products need AVX-512 BF16, which cpu_has_bf16 asks for. */
#if defined __AVX512F__
#include <immintrin.h>

#define BF16_PRODUCTS __attribute__((target("avx512bf16")))

INLINE BF16_PRODUCTS void tile(const int vectors, int64_t pairs, const uint16_t *a, int64_t lda,
                               const uint16_t *b, float *c, int64_t ldc, bool first)
{
    __m512 sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(c + i * ldc + v * LANES);
    for (int64_t k = 0; k < pairs; k++) {
        __m512i row[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            row[v] = _mm512_loadu_si512(b + (k * vectors + v) * 2 * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < TILE_ROWS; i++) {
            int32_t pair;
            memcpy(&pair, a + i * lda + 2 * k, sizeof pair);
            __m512i both = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[i][v] = _mm512_dpbf16_ps(sum[i][v], (__m512bh)both, (__m512bh)row[v]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            _mm512_storeu_ps(c + i * ldc + v * LANES, sum[i][v]);
}

static BF16_PRODUCTS void multiply_bf16(int64_t rows, int64_t pairs, int64_t columns,
                                        const uint16_t *a, int64_t lda, const uint16_t *b, float *c,
                                        int64_t ldc, bool first)
{
    for (int64_t j = 0; j < columns; j += PANEL)
        for (int64_t i = 0; i < rows; i += TILE_ROWS) {
            const uint16_t *tile_a = a + i * lda, *tile_b = b + 2 * j * pairs;
            float *tile_c = c + i * ldc + j;
            int64_t vectors = (columns - j) / LANES;
            if (vectors >= 3)
                tile(3, pairs, tile_a, lda, tile_b, tile_c, ldc, first);
            else if (vectors == 2)
                tile(2, pairs, tile_a, lda, tile_b, tile_c, ldc, first);
            else
                tile(1, pairs, tile_a, lda, tile_b, tile_c, ldc, first);
        }
}

const struct convolution_simd SIMD_NAME(convolution_simd) = {finish, multiply_bf16, place_f32,
                                                             place_bf16};
#else
const struct convolution_simd SIMD_NAME(convolution_simd) = {finish, NULL, place_f32, place_bf16};
#endif
