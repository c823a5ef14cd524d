#include "kernels/cpu/vector.h"

/* The sums of a tile stay in registers over all lines. */
INLINE void tile_f32(const int vectors, const struct line_products *p, int64_t row, int64_t column,
                     float *c, int64_t ldc)
{
    vector sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = (vector){0};
    for (int64_t line = 0; line < p->lines; line++) {
        const float *a = (const float *)p->a[line] + row * p->step;
        const float *b = (const float *)p->b[line] + column * p->depth;
        for (int64_t k = 0; k < p->depth; k++) {
            vector weight[TILE_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                weight[v] = load(b + (k * vectors + v) * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[i][v] += a[i * p->step + k] * weight[v];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(c + i * ldc + v * LANES, sum[i][v]);
}

static void multiply_f32(const struct line_products *p, int64_t pixels, int64_t first,
                         int64_t columns, float *to)
{
    for (int64_t j = 0; j < columns; j += PANEL)
        for (int64_t i = 0; i < pixels; i += TILE_ROWS) {
            int64_t vectors = (columns - j) / LANES;
            if (vectors >= TILE_VECTORS)
                tile_f32(TILE_VECTORS, p, i, first + j, to + i * columns + j, columns);
            else if (TILE_VECTORS > 2 && vectors == 2)
                tile_f32(2, p, i, first + j, to + i * columns + j, columns);
            else
                tile_f32(1, p, i, first + j, to + i * columns + j, columns);
        }
}

/* As many sums as a vector has lanes: four pixels by LANES/4 outputs. */
enum { SUM_PIXELS = 4, SUM_OUTPUTS = LANES / SUM_PIXELS };
typedef int32_t indices __attribute__((vector_size(LANES * 4)));

/* Lane i of the result is the sum of the lanes of sum[i]. Each turn halves the vectors: the lanes
 * of two are added by pairs `half` apart. */
INLINE vector sum_lanes(vector sum[LANES])
{
    indices lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) {
            indices upper = (lane & half) != 0;
            indices near = lane + (upper & (LANES - half));
            indices far = lane + ((upper & LANES) | (~upper & half));
            sum[i] = __builtin_shuffle(sum[i], sum[i + half], near) +
                     __builtin_shuffle(sum[i], sum[i + half], far);
        }
    return sum[0];
}

/* The tile's sums to rows of LINE_OUTPUTS. */
INLINE void store_sums(vector sum[LANES], float *to)
{
    float lane[LANES];
    store(lane, sum_lanes(sum));
    for (int i = 0; i < SUM_PIXELS; i++)
        memcpy(to + i * LINE_OUTPUTS, lane + i * SUM_OUTPUTS, SUM_OUTPUTS * sizeof *lane);
}

static void sum_f32(const struct line_products *p, int64_t pixels, float *to)
{
    for (int64_t j = 0; j < LINE_OUTPUTS; j += SUM_OUTPUTS)
        for (int64_t i = 0; i < pixels; i += SUM_PIXELS) {
            vector sum[LANES];
#pragma GCC unroll 16
            for (int t = 0; t < LANES; t++)
                sum[t] = (vector){0};
            for (int64_t line = 0; line < p->lines; line++) {
                const float *a = (const float *)p->a[line] + i * p->step;
                const float *b = (const float *)p->b[line] + j * p->depth;
                for (int64_t k = 0; k < p->depth; k += LANES)
#pragma GCC unroll 16
                    for (int t = 0; t < LANES; t++)
                        sum[t] += load(a + t / SUM_OUTPUTS * p->step + k) *
                                  load(b + t % SUM_OUTPUTS * p->depth + k);
            }
            store_sums(sum, to + i * LINE_OUTPUTS + j);
        }
}

#if defined __AVX512F__
#include <immintrin.h>

#define BF16_PRODUCTS __attribute__((target("avx512bf16")))

INLINE BF16_PRODUCTS void tile_bf16(const int vectors, const struct line_products *p, int64_t row,
                                    int64_t column, float *c, int64_t ldc)
{
    __m512 sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = _mm512_setzero_ps();
    for (int64_t line = 0; line < p->lines; line++) {
        const uint16_t *a = (const uint16_t *)p->a[line] + row * p->step;
        const uint16_t *b = (const uint16_t *)p->b[line] + column * p->depth;
        for (int64_t k = 0; k < p->depth; k += 2) {
            __m512i weight[TILE_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                weight[v] = _mm512_loadu_si512(b + (k * vectors + 2 * v) * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < TILE_ROWS; i++) {
                int32_t pair;
                memcpy(&pair, a + i * p->step + k, sizeof pair);
                __m512i both = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[i][v] = _mm512_dpbf16_ps(sum[i][v], (__m512bh)both, (__m512bh)weight[v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            _mm512_storeu_ps(c + i * ldc + v * LANES, sum[i][v]);
}

static BF16_PRODUCTS void multiply_bf16(const struct line_products *p, int64_t pixels,
                                        int64_t first, int64_t columns, float *to)
{
    for (int64_t j = 0; j < columns; j += PANEL)
        for (int64_t i = 0; i < pixels; i += TILE_ROWS) {
            int64_t vectors = (columns - j) / LANES;
            if (vectors >= TILE_VECTORS)
                tile_bf16(TILE_VECTORS, p, i, first + j, to + i * columns + j, columns);
            else if (vectors == 2)
                tile_bf16(2, p, i, first + j, to + i * columns + j, columns);
            else
                tile_bf16(1, p, i, first + j, to + i * columns + j, columns);
        }
}

static BF16_PRODUCTS void sum_bf16(const struct line_products *p, int64_t pixels, float *to)
{
    for (int64_t i = 0; i < pixels; i += SUM_PIXELS) {
        __m512 sum[LANES];
#pragma GCC unroll 16
        for (int t = 0; t < LANES; t++)
            sum[t] = _mm512_setzero_ps();
        for (int64_t line = 0; line < p->lines; line++) {
            const uint16_t *a = (const uint16_t *)p->a[line] + i * p->step, *b = p->b[line];
            for (int64_t k = 0; k < p->depth; k += 2 * LANES)
#pragma GCC unroll 16
                for (int t = 0; t < LANES; t++) {
                    __m512i x = _mm512_loadu_si512(a + t / SUM_OUTPUTS * p->step + k);
                    __m512i w = _mm512_loadu_si512(b + t % SUM_OUTPUTS * p->depth + k);
                    sum[t] = _mm512_dpbf16_ps(sum[t], (__m512bh)x, (__m512bh)w);
                }
        }
        store_sums((vector *)sum, to + i * LINE_OUTPUTS);
    }
}

const struct convolution_lines_simd SIMD_NAME(convolution_lines_simd) = {
    multiply_f32, multiply_bf16, sum_f32, sum_bf16};
#else
const struct convolution_lines_simd SIMD_NAME(convolution_lines_simd) = {multiply_f32, NULL,
                                                                         sum_f32, NULL};
#endif
