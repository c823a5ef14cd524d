#include "kernels/cpu/vector.h"

INLINE void tile(const int vectors, int64_t depth, const float *a, int64_t lda, const float *b,
                 float *c, int64_t ldc, const float *scale)
{
    vector sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[i][v] = scale ? load(c + i * ldc + v * LANES) * scale[i] : (vector){0};
    for (int64_t k = 0; k < depth; k++) {
        vector row[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            row[v] = load(b + (k * vectors + v) * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[i][v] += a[i * lda + k] * row[v];
    }
#pragma GCC unroll 8
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(c + i * ldc + v * LANES, sum[i][v]);
}

static void multiply(int64_t rows, int64_t depth, int64_t columns, const float *a, int64_t lda,
                     const float *b, float *c, int64_t ldc, const float *scale)
{
    for (int64_t j = 0; j < columns; j += PANEL)
        for (int64_t i = 0; i < rows; i += TILE_ROWS) {
            const float *tile_scale = scale ? scale + i : NULL;
            const float *tile_a = a + i * lda, *tile_b = b + j * depth;
            float *tile_c = c + i * ldc + j;
            int64_t vectors = (columns - j) / LANES;
            if (vectors >= TILE_VECTORS)
                tile(TILE_VECTORS, depth, tile_a, lda, tile_b, tile_c, ldc, tile_scale);
            else if (TILE_VECTORS > 2 && vectors == 2)
                tile(2, depth, tile_a, lda, tile_b, tile_c, ldc, tile_scale);
            else
                tile(1, depth, tile_a, lda, tile_b, tile_c, ldc, tile_scale);
        }
}

static float softmax(float *scores, int64_t count, float *maximum, float *sum)
{
    float highest = *maximum, total = 0.0f;
#pragma omp simd reduction(max : highest)
    for (int64_t k = 0; k < count; k++)
        highest = scores[k] > highest ? scores[k] : highest;
#pragma omp simd reduction(+ : total)
    for (int64_t k = 0; k < count; k++) {
        float weight = exp_f32(scores[k] - highest);
        scores[k] = weight;
        total += weight;
    }
    float factor = exp_f32(*maximum - highest);
    *maximum = highest;
    *sum = *sum * factor + total;
    return factor;
}

static float softmax_bf16(float *scores, int64_t count, float scale, float *maximum, float *sum,
                          uint16_t *weights)
{
    float highest = *maximum / scale, total = 0.0f;
#pragma omp simd reduction(max : highest)
    for (int64_t k = 0; k < count; k++)
        highest = scores[k] > highest ? scores[k] : highest;
    highest *= scale;
#pragma omp simd reduction(+ : total)
    for (int64_t k = 0; k < count; k++) {
        uint32_t bits = float_bits(exp_f32(scores[k] * scale - highest));
        scores[k] = bits_float((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
        total += scores[k];
    }
    for (int64_t k = 0; k < count; k++)
        weights[k] = (uint16_t)(float_bits(scores[k]) >> 16);
    float factor = exp_f32(*maximum - highest);
    *maximum = highest;
    *sum = *sum * factor + total;
    return factor;
}

static void differentiate(const float *weights, float *gradients, int64_t count, float share)
{
#pragma GCC ivdep
    for (int64_t k = 0; k < count; k++)
        gradients[k] = weights[k] * (gradients[k] - share);
}

static void weigh_columns(float *scores, float *gradients, int64_t count, float factor,
                          const float *levels, const float *shares)
{
#pragma GCC ivdep
    for (int64_t k = 0; k < count; k++) {
        scores[k] = exp_f32(scores[k] * factor - levels[k]);
        gradients[k] = scores[k] * (gradients[k] - shares[k]);
    }
}

/* Four neighbours of a row, from anywhere. */
typedef float quad __attribute__((vector_size(16)));
typedef float quad_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t quad_order __attribute__((vector_size(16)));

INLINE quad load_quad(const void *data, enum dtype dtype, int64_t i)
{
    if (dtype == DTYPE_F32)
        return *(const quad_unaligned *)((const float *)data + i);
    return (quad){value_at(data, dtype, i), value_at(data, dtype, i + 1),
                  value_at(data, dtype, i + 2), value_at(data, dtype, i + 3)};
}

/* Rows row … row+3 and their elements i … i+3 to columns of b, `columns` apart. */
INLINE void transpose_quad(struct rows from, enum dtype dtype, int64_t row, int64_t i, float *b,
                           int64_t columns)
{
    quad r[4], pair[4];
    for (int k = 0; k < 4; k++)
        r[k] = load_quad(from.data, dtype, (row + k) * from.stride + i);
    for (int k = 0; k < 2; k++) {
        pair[k] = __builtin_shuffle(r[2 * k], r[2 * k + 1], (quad_order){0, 4, 1, 5});
        pair[k + 2] = __builtin_shuffle(r[2 * k], r[2 * k + 1], (quad_order){2, 6, 3, 7});
    }
    for (int k = 0; k < 4; k += 2) {
        quad_unaligned *even = (quad_unaligned *)(b + k * columns);
        quad_unaligned *odd = (quad_unaligned *)(b + (k + 1) * columns);
        *even = __builtin_shuffle(pair[k], pair[k + 1], (quad_order){0, 1, 4, 5});
        *odd = __builtin_shuffle(pair[k], pair[k + 1], (quad_order){2, 3, 6, 7});
    }
}

INLINE void pack_rows_as_columns(struct rows from, enum dtype dtype, int64_t count, int64_t depth,
                                 float *b)
{
    int64_t padded = (count + COLUMNS_MULTIPLE - 1) / COLUMNS_MULTIPLE * COLUMNS_MULTIPLE;
    for (int64_t row = 0; row < padded; row += 4) {
        int64_t start = row / PANEL * PANEL;
        int64_t columns = padded - start < PANEL ? padded - start : PANEL;
        float *to = b + start * depth + row - start;
        int64_t i = 0;
        if (row + 4 <= count)
            for (; i + 4 <= depth; i += 4)
                transpose_quad(from, dtype, row, i, to + i * columns, columns);
        for (; i < depth; i++)
            for (int64_t k = 0; k < 4; k++)
                to[i * columns + k] = row + k < count
                                          ? value_at(from.data, dtype, (row + k) * from.stride + i)
                                          : 0.0f;
    }
}

static void pack_transposed(struct rows from, int64_t count, int64_t depth, float *b)
{
    if (from.dtype == DTYPE_F32)
        pack_rows_as_columns(from, DTYPE_F32, count, depth, b);
    else
        pack_rows_as_columns(from, DTYPE_BF16, count, depth, b);
}

INLINE void pack_rows(struct rows from, enum dtype dtype, int64_t depth, int64_t count, float *b)
{
    int64_t padded = (count + COLUMNS_MULTIPLE - 1) / COLUMNS_MULTIPLE * COLUMNS_MULTIPLE;
    for (int64_t row = 0; row < depth; row++)
        for (int64_t start = 0; start < padded; start += PANEL) {
            int64_t columns = padded - start < PANEL ? padded - start : PANEL;
            int64_t filled = count - start < columns ? count - start : columns;
            float *to = b + start * depth + row * columns;
            for (int64_t i = 0; i < filled; i++)
                to[i] = value_at(from.data, dtype, row * from.stride + start + i);
            for (int64_t i = filled > 0 ? filled : 0; i < columns; i++)
                to[i] = 0.0f;
        }
}

static void pack(struct rows from, int64_t depth, int64_t count, float *b)
{
    if (from.dtype == DTYPE_F32)
        pack_rows(from, DTYPE_F32, depth, count, b);
    else
        pack_rows(from, DTYPE_BF16, depth, count, b);
}

static void pack_pairs(struct rows from, int64_t depth, int64_t count, uint16_t *b)
{
    int64_t padded = (count + COLUMNS_MULTIPLE - 1) / COLUMNS_MULTIPLE * COLUMNS_MULTIPLE;
    for (int64_t row = 0; row < depth; row += 2) {
        const uint16_t *even = (const uint16_t *)from.data + row * from.stride;
        const uint16_t *odd = row + 1 < depth ? even + from.stride : NULL;
        for (int64_t start = 0; start < padded; start += PANEL) {
            int64_t columns = padded - start < PANEL ? padded - start : PANEL;
            int64_t filled = count - start < columns ? count - start : columns;
            uint16_t *to = b + start * ((depth + 1) / 2 * 2) + row * columns;
            for (int64_t i = 0; odd && i < filled; i++) {
                to[2 * i] = even[start + i];
                to[2 * i + 1] = odd[start + i];
            }
            for (int64_t i = 0; !odd && i < filled; i++) {
                to[2 * i] = even[start + i];
                to[2 * i + 1] = 0;
            }
            for (int64_t i = 2 * (filled > 0 ? filled : 0); i < 2 * columns; i++)
                to[i] = 0;
        }
    }
}

static void scale(struct rows from, int64_t count, float factor, float *to)
{
    if (from.dtype == DTYPE_F32)
        for (int64_t i = 0; i < count; i++)
            to[i] = factor * value_at(from.data, DTYPE_F32, i);
    else
        for (int64_t i = 0; i < count; i++)
            to[i] = factor * value_at(from.data, DTYPE_BF16, i);
}

const struct attention_simd SIMD_NAME(attention_simd) = {
    .multiply = multiply,
    .softmax = softmax,
    .softmax_bf16 = softmax_bf16,
    .differentiate = differentiate,
    .weigh_columns = weigh_columns,
    .pack = pack,
    .pack_transposed = pack_transposed,
    .pack_pairs = pack_pairs,
    .scale = scale,
};
