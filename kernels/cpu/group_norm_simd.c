#include "kernels/cpu/vector.h"

INLINE void sum_rows(const void *x, enum dtype dtype, int64_t stride, int64_t count, int64_t c,
                     float *restrict shift, float *restrict sum, float *restrict square)
{
    for (int64_t j = 0; j < c; j++) {
        shift[j] = value_at(x, dtype, j);
        sum[j] = square[j] = 0.0f;
    }
    for (int64_t i = 1; i < count; i++)
        for (int64_t j = 0; j < c; j++) {
            float distance = value_at(x, dtype, i * stride + j) - shift[j];
            sum[j] += distance;
            square[j] += distance * distance;
        }
}

static void sums(struct rows x, int64_t count, int64_t c, float *shift, float *sum, float *square)
{
    if (x.dtype == DTYPE_F32)
        sum_rows(x.data, DTYPE_F32, x.stride, count, c, shift, sum, square);
    else
        sum_rows(x.data, DTYPE_BF16, x.stride, count, c, shift, sum, square);
}

/* Values that are made in f32 before they are rounded: two simple loops are faster than one that
 * does all at once. */
enum { ROUNDED_AT_ONCE = 256 };

INLINE void apply_row(const void *x, enum dtype from, float *y, int64_t count, const float *a,
                      const float *b, bool silu)
{
#pragma GCC ivdep
    for (int64_t j = 0; j < count; j++) {
        float value = a[j] * value_at(x, from, j) + b[j];
        y[j] = silu ? silu_f32(value) : value;
    }
}

INLINE void apply_rows(struct rows x, enum dtype from, struct rows y, enum dtype to, int64_t count,
                       int64_t c, const float *a, const float *b, bool silu)
{
    for (int64_t i = 0; i < count; i++) {
        const char *in = (const char *)x.data + i * x.stride * dtype_size(from);
        char *out = (char *)y.data + i * y.stride * dtype_size(to);
        if (to == DTYPE_F32) {
            apply_row(in, from, (float *)out, c, a, b, silu);
            continue;
        }
        for (int64_t j = 0; j < c; j += ROUNDED_AT_ONCE) {
            float value[ROUNDED_AT_ONCE];
            int64_t width = c - j < ROUNDED_AT_ONCE ? c - j : ROUNDED_AT_ONCE;
            apply_row(in + j * dtype_size(from), from, value, width, a + j, b + j, silu);
            for (int64_t k = 0; k < width; k++)
                ((uint16_t *)out)[j + k] = bf16_nearest(value[k]);
        }
    }
}

/* The combinations of types in use; each becomes a loop of its own. */
static void apply(struct rows x, struct rows y, int64_t count, int64_t c, const float *a,
                  const float *b, bool silu)
{
    if (x.dtype == DTYPE_F32 && silu)
        apply_rows(x, DTYPE_F32, y, DTYPE_F32, count, c, a, b, true);
    else if (x.dtype == DTYPE_F32)
        apply_rows(x, DTYPE_F32, y, DTYPE_F32, count, c, a, b, false);
    else if (y.dtype == DTYPE_F32 && silu)
        apply_rows(x, DTYPE_BF16, y, DTYPE_F32, count, c, a, b, true);
    else if (y.dtype == DTYPE_F32)
        apply_rows(x, DTYPE_BF16, y, DTYPE_F32, count, c, a, b, false);
    else if (silu)
        apply_rows(x, DTYPE_BF16, y, DTYPE_BF16, count, c, a, b, true);
    else
        apply_rows(x, DTYPE_BF16, y, DTYPE_BF16, count, c, a, b, false);
}

const struct group_norm_simd SIMD_NAME(group_norm_simd) = {sums, apply};
