#include "kernels/cpu/vector.h"

INLINE void sum_rows(struct rows x, struct rows dy, enum dtype dtype, int64_t count, int64_t c,
                     const struct group_norm_folded *f, bool silu, float *restrict sum,
                     float *restrict product)
{
    for (int64_t j = 0; j < c; j++)
        sum[j] = product[j] = 0.0f;
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < c; j++) {
            float value = value_at(x.data, dtype, i * x.stride + j);
            float dz = value_at(dy.data, dtype, i * dy.stride + j);
            if (silu)
                dz *= silu_slope_f32(f->a[j] * value + f->b[j]);
            sum[j] += dz;
            product[j] += dz * (value - f->mean[j]);
        }
}

static void sums(struct rows x, struct rows dy, int64_t count, int64_t c,
                 const struct group_norm_folded *f, bool silu, float *sum, float *product)
{
    if (x.dtype == DTYPE_F32 && silu)
        sum_rows(x, dy, DTYPE_F32, count, c, f, true, sum, product);
    else if (x.dtype == DTYPE_F32)
        sum_rows(x, dy, DTYPE_F32, count, c, f, false, sum, product);
    else if (silu)
        sum_rows(x, dy, DTYPE_BF16, count, c, f, true, sum, product);
    else
        sum_rows(x, dy, DTYPE_BF16, count, c, f, false, sum, product);
}

/* Values that are made in f32 before they are rounded: simple loops are faster than one that does
 * all at once. */
enum { ROUNDED_AT_ONCE = 256 };

/* `count` gradients from channel `first` on; x, dy and added begin there. */
INLINE void gradient_row(const void *x, const void *dy, const void *added, enum dtype dtype,
                         int64_t count, const struct group_norm_folded *f, int64_t first, bool silu,
                         float *dx)
{
    const float *a = f->a + first, *b = f->b + first, *mean = f->mean + first;
    const float *slope = f->slope + first, *constant = f->constant + first;
#pragma GCC ivdep
    for (int64_t j = 0; j < count; j++) {
        float value = value_at(x, dtype, j), dz = value_at(dy, dtype, j);
        if (silu)
            dz *= silu_slope_f32(a[j] * value + b[j]);
        dx[j] = a[j] * dz + (slope[j] * (value - mean[j]) + constant[j]);
    }
    if (added)
#pragma GCC ivdep
        for (int64_t j = 0; j < count; j++)
            dx[j] += value_at(added, dtype, j);
}

INLINE const char *row_at(struct rows rows, enum dtype dtype, int64_t row, int64_t column)
{
    return rows.data ? (const char *)rows.data + (row * rows.stride + column) * dtype_size(dtype)
                     : NULL;
}

INLINE void gradient_rows(struct rows x, struct rows dy, struct rows added, struct rows dx,
                          enum dtype dtype, int64_t count, int64_t c,
                          const struct group_norm_folded *f, bool silu)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < c; j += ROUNDED_AT_ONCE) {
            float value[ROUNDED_AT_ONCE];
            int64_t width = c - j < ROUNDED_AT_ONCE ? c - j : ROUNDED_AT_ONCE;
            gradient_row(row_at(x, dtype, i, j), row_at(dy, dtype, i, j),
                         row_at(added, dtype, i, j), dtype, width, f, j, silu, value);
            if (dtype == DTYPE_F32)
                memcpy((float *)dx.data + i * dx.stride + j, value, (size_t)width * sizeof *value);
            else
                for (int64_t k = 0; k < width; k++)
                    ((uint16_t *)dx.data)[i * dx.stride + j + k] = bf16_nearest(value[k]);
        }
}

static void apply(struct rows x, struct rows dy, struct rows added, struct rows dx, int64_t count,
                  int64_t c, const struct group_norm_folded *f, bool silu)
{
    if (x.dtype == DTYPE_F32 && silu)
        gradient_rows(x, dy, added, dx, DTYPE_F32, count, c, f, true);
    else if (x.dtype == DTYPE_F32)
        gradient_rows(x, dy, added, dx, DTYPE_F32, count, c, f, false);
    else if (silu)
        gradient_rows(x, dy, added, dx, DTYPE_BF16, count, c, f, true);
    else
        gradient_rows(x, dy, added, dx, DTYPE_BF16, count, c, f, false);
}

const struct group_norm_gradient_simd SIMD_NAME(group_norm_gradient_simd) = {sums, apply};
