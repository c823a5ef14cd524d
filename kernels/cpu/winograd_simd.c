#include "kernels/cpu/vector.h"

/* A tile of the products stays in registers: 8×3 sums of 32 registers with AVX-512, 4×3 of 16 with
 * AVX2 (fused multiply-add takes no temporary), 4×2 of 16 without. */
#if defined __AVX512F__
enum { ROWS = 8, VECTORS = 3 };
#elif defined __AVX2__
enum { ROWS = 4, VECTORS = 3 };
#else
enum { ROWS = 4, VECTORS = 2 };
#endif

enum { INPUTS = 6, OUTPUTS = 4, TAPS = 3 };

/* The interpolation points are 0, ±p, ±q and ∞. These halve the rounding errors that the customary
 * 0, ±1, ±2, ∞ leave, at the same number of operations. */
static const float p = 0.625f, q = 1.5f;
static const float pp = 0.625f * 0.625f, qq = 1.5f * 1.5f;

/* Bᵀd: the coefficients of (x² − p²)(x² − q²), x(x ± p)(x² − q²), x(x ± q)(x² − p²) and
 * x(x² − p²)(x² − q²). */
INLINE void input_products(const vector d[INPUTS], vector out[INPUTS])
{
    vector even = d[4] - qq * d[2], odd = d[3] - qq * d[1];
    out[1] = even + p * odd;
    out[2] = even - p * odd;
    even = d[4] - pp * d[2];
    odd = d[3] - pp * d[1];
    out[3] = even + q * odd;
    out[4] = even - q * odd;
    out[0] = pp * qq * d[0] + (d[4] - (pp + qq) * d[2]);
    out[5] = pp * qq * d[1] + (d[5] - (pp + qq) * d[3]);
}

/* Gg: the kernel's values at the points, over the product of the distances to the others. */
INLINE void weight_products(const vector g[TAPS], vector out[INPUTS])
{
    const float at_p = 1.0f / (2.0f * pp * (pp - qq)), at_q = 1.0f / (2.0f * qq * (qq - pp));
    vector even = at_p * g[0] + at_p * pp * g[2];
    out[1] = even + at_p * p * g[1];
    out[2] = even - at_p * p * g[1];
    even = at_q * g[0] + at_q * qq * g[2];
    out[3] = even + at_q * q * g[1];
    out[4] = even - at_q * q * g[1];
    out[0] = 1.0f / (pp * qq) * g[0];
    out[5] = g[2];
}

/* Aᵀm: the powers of the points. */
INLINE void output_sums(const vector m[INPUTS], vector out[OUTPUTS])
{
    vector even_p = m[1] + m[2], odd_p = m[1] - m[2], even_q = m[3] + m[4], odd_q = m[3] - m[4];
    out[0] = m[0] + (even_p + even_q);
    out[1] = p * odd_p + q * odd_q;
    out[2] = pp * even_p + qq * even_q;
    out[3] = pp * p * odd_p + (qq * q * odd_q + m[5]);
}

/* Ay, the transpose of output_sums. */
INLINE void gradient_products(const vector y[OUTPUTS], vector out[INPUTS])
{
    vector even = y[0] + pp * y[2], odd = p * y[1] + pp * p * y[3];
    out[1] = even + odd;
    out[2] = even - odd;
    even = y[0] + qq * y[2];
    odd = q * y[1] + qq * q * y[3];
    out[3] = even + odd;
    out[4] = even - odd;
    out[0] = y[0];
    out[5] = y[3];
}

/* Gᵀs, the transpose of weight_products. */
INLINE void kernel_sums(const vector s[INPUTS], vector out[TAPS])
{
    const float at_p = 1.0f / (2.0f * pp * (pp - qq)), at_q = 1.0f / (2.0f * qq * (qq - pp));
    vector even_p = at_p * (s[1] + s[2]), odd_p = at_p * p * (s[1] - s[2]);
    vector even_q = at_q * (s[3] + s[4]), odd_q = at_q * q * (s[3] - s[4]);
    out[0] = 1.0f / (pp * qq) * s[0] + (even_p + even_q);
    out[1] = odd_p + odd_q;
    out[2] = pp * even_p + (qq * even_q + s[5]);
}

/* One vector of channels of a patch; count: channels there are, LANES for all. */
INLINE void input_vector(const void *const *pixel, const enum dtype dtype, int64_t c, int64_t count,
                         float *to, int64_t step)
{
    vector half[INPUTS][INPUTS], in[INPUTS], out[INPUTS];
#pragma GCC unroll 6
    for (int j = 0; j < INPUTS; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < INPUTS; i++)
            in[i] = load_as(pixel[i * INPUTS + j], dtype, c, count);
        input_products(in, out);
#pragma GCC unroll 6
        for (int i = 0; i < INPUTS; i++)
            half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < INPUTS; i++) {
        input_products(half[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < INPUTS; j++)
            store(to + (i * INPUTS + j) * step + c, out[j]);
    }
}

INLINE void input_patch(const void *const *pixel, const enum dtype dtype, int64_t channels,
                        float *to, int64_t step)
{
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES)
        input_vector(pixel, dtype, c, LANES, to, step);
    if (c < channels)
        input_vector(pixel, dtype, c, channels - c, to, step);
}

static void transform_input(const void *const *pixel, enum dtype dtype, int64_t channels, float *to,
                            int64_t step)
{
    if (dtype == DTYPE_BF16)
        input_patch(pixel, DTYPE_BF16, channels, to, step);
    else
        input_patch(pixel, DTYPE_F32, channels, to, step);
}

INLINE void weight_kernels(const void *taps, const enum dtype dtype, int64_t channels, float *to,
                           int64_t stride, int64_t step)
{
    for (int64_t c = 0; c < channels; c++, to += stride) {
        vector half[TAPS][INPUTS], in[TAPS], out[INPUTS];
#pragma GCC unroll 3
        for (int j = 0; j < TAPS; j++) {
#pragma GCC unroll 3
            for (int i = 0; i < TAPS; i++)
                in[i] = load_as(taps, dtype, (c * TAPS * TAPS + i * TAPS + j) * LANES, LANES);
            weight_products(in, half[j]);
        }
#pragma GCC unroll 6
        for (int i = 0; i < INPUTS; i++) {
#pragma GCC unroll 3
            for (int j = 0; j < TAPS; j++)
                in[j] = half[j][i];
            weight_products(in, out);
#pragma GCC unroll 6
            for (int j = 0; j < INPUTS; j++)
                store(to + (i * INPUTS + j) * step, out[j]);
        }
    }
}

static void transform_weights(const void *taps, enum dtype dtype, int64_t channels, float *to,
                              int64_t stride, int64_t step)
{
    if (dtype == DTYPE_BF16)
        weight_kernels(taps, DTYPE_BF16, channels, to, stride, step);
    else
        weight_kernels(taps, DTYPE_F32, channels, to, stride, step);
}

INLINE void gradient_vector(const void *const *pixel, const enum dtype dtype, int64_t c,
                            int64_t count, float *to, int64_t step)
{
    vector half[INPUTS][OUTPUTS], in[OUTPUTS], out[INPUTS];
#pragma GCC unroll 4
    for (int j = 0; j < OUTPUTS; j++) {
#pragma GCC unroll 4
        for (int i = 0; i < OUTPUTS; i++)
            in[i] = load_as(pixel[i * OUTPUTS + j], dtype, c, count);
        gradient_products(in, out);
#pragma GCC unroll 6
        for (int i = 0; i < INPUTS; i++)
            half[i][j] = out[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < INPUTS; i++) {
        gradient_products(half[i], out);
#pragma GCC unroll 6
        for (int j = 0; j < INPUTS; j++)
            store(to + (i * INPUTS + j) * step + c, out[j]);
    }
}

INLINE void gradient_tile(const void *const *pixel, const enum dtype dtype, int64_t channels,
                          float *to, int64_t step)
{
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES)
        gradient_vector(pixel, dtype, c, LANES, to, step);
    if (c < channels)
        gradient_vector(pixel, dtype, c, channels - c, to, step);
}

static void transform_gradient(const void *const *pixel, enum dtype dtype, int64_t channels,
                               float *to, int64_t step)
{
    if (dtype == DTYPE_BF16)
        gradient_tile(pixel, DTYPE_BF16, channels, to, step);
    else
        gradient_tile(pixel, DTYPE_F32, channels, to, step);
}

static void transform_sums(const float *sums, int64_t step, int64_t channels, float *to,
                           int64_t to_step)
{
    for (int64_t c = 0; c < channels; c += LANES) {
        vector half[TAPS][INPUTS], in[INPUTS], out[TAPS];
#pragma GCC unroll 6
        for (int j = 0; j < INPUTS; j++) {
#pragma GCC unroll 6
            for (int i = 0; i < INPUTS; i++)
                in[i] = load(sums + (i * INPUTS + j) * step + c);
            kernel_sums(in, out);
#pragma GCC unroll 3
            for (int i = 0; i < TAPS; i++)
                half[i][j] = out[i];
        }
#pragma GCC unroll 3
        for (int i = 0; i < TAPS; i++) {
            kernel_sums(half[i], out);
#pragma GCC unroll 3
            for (int j = 0; j < TAPS; j++)
                store(to + (i * TAPS + j) * to_step + c, out[j]);
        }
    }
}

INLINE void tile(const int vectors, const struct winograd_product *x, const float *a, float *to)
{
    const float *b = x->b;
    vector sum[ROWS][VECTORS] = {0};
    for (int plane = 0; plane < x->planes; plane++, a += x->plane_step)
        for (int64_t k = 0; k < x->depth; k++, b += vectors * LANES) {
            vector row[VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                row[v] = load(b + v * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    sum[i][v] += a[i * x->row_step + k] * row[v];
        }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            store(to + (i * vectors + v) * LANES, sum[i][v]);
}

static void multiply(const struct winograd_product *x, int vectors, int64_t rows, float *to)
{
    for (int64_t row = 0; row < rows; row += ROWS) {
        const float *a = x->a + row * x->row_step;
        float *tile_to = to + row * vectors * LANES;
        if (VECTORS > 2 && vectors == 3)
            tile(3, x, a, tile_to);
        else if (vectors == 2)
            tile(2, x, a, tile_to);
        else
            tile(1, x, a, tile_to);
    }
}

INLINE void output_vector(const struct winograd_tile *t, const enum dtype from, const enum dtype to,
                          const float *products, int64_t step, int rows, int columns, int64_t c,
                          int64_t count)
{
    vector half[OUTPUTS][INPUTS], in[INPUTS], out[OUTPUTS], bias = {0};
#pragma GCC unroll 6
    for (int j = 0; j < INPUTS; j++) {
#pragma GCC unroll 6
        for (int i = 0; i < INPUTS; i++)
            in[i] = load(products + (i * INPUTS + j) * step + c);
        output_sums(in, out);
#pragma GCC unroll 4
        for (int i = 0; i < OUTPUTS; i++)
            half[i][j] = out[i];
    }
    if (t->bias)
        bias = load_as(t->bias, DTYPE_F32, c, count);
#pragma GCC unroll 4
    for (int i = 0; i < OUTPUTS; i++) {
        output_sums(half[i], out);
        for (int j = 0; i < rows && j < columns; j++) {
            vector v = out[j] + bias;
            if (t->addend.data)
                v += t->beta * load_as(t->addend.data, from,
                                       i * t->addend.row + j * t->addend.column + c, count);
            if (t->relu)
                v = rectified(v);
            store_as(t->output.data, to, i * t->output.row + j * t->output.column + c, v, count);
        }
    }
}

INLINE void output_tile(const struct winograd_tile *t, const enum dtype from, const enum dtype to,
                        const float *products, int64_t step)
{
    bool whole = t->rows == OUTPUTS && t->columns == OUTPUTS;
    for (int64_t c = 0; c < t->channels; c += LANES) {
        int64_t count = t->channels - c;
        if (whole && count >= LANES)
            output_vector(t, from, to, products, step, OUTPUTS, OUTPUTS, c, LANES);
        else
            output_vector(t, from, to, products, step, t->rows, t->columns, c,
                          count < LANES ? count : LANES);
    }
}

static void transform_output(const struct winograd_tile *t, const float *products, int64_t step)
{
    bool from = t->addend.dtype == DTYPE_BF16, to = t->output.dtype == DTYPE_BF16;
    if (from && to)
        output_tile(t, DTYPE_BF16, DTYPE_BF16, products, step);
    else if (to)
        output_tile(t, DTYPE_F32, DTYPE_BF16, products, step);
    else if (from)
        output_tile(t, DTYPE_BF16, DTYPE_F32, products, step);
    else
        output_tile(t, DTYPE_F32, DTYPE_F32, products, step);
}

const struct winograd_simd SIMD_NAME(winograd_simd) = {
    .lanes = LANES,
    .rows = ROWS,
    .vectors = VECTORS,
    .transform_weights = transform_weights,
    .transform_input = transform_input,
    .multiply = multiply,
    .transform_gradient = transform_gradient,
    .transform_sums = transform_sums,
    .transform_output = transform_output,
};
