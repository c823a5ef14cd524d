/* Loops that are compiled once for each instruction set and chosen at run time.
 *
 * Every file kernels/cpu/NAME_simd.c is compiled with -DSIMD=avx512, avx2 and portable (only the
 * last where SIMD_ONLY_PORTABLE is defined) and exports one table, NAME_simd_avx512 and so on.
 * Adding one: declare its struct here, add it to struct simd and SIMD_TABLES, and to simd.c. */
#ifndef OCTPIPE_KERNELS_CPU_SIMD_H
#define OCTPIPE_KERNELS_CPU_SIMD_H

#include "kernels/operation.h"

#include <stdbool.h>

/* Rows of f32 and bf16 (to bf16: to nearest, ties to even; NaN stays NaN). */
struct convert_simd {
    void (*f32_to_bf16)(const float *from, uint16_t *to, int64_t count);
    void (*bf16_to_f32)(const uint16_t *from, float *to, int64_t count);
    /* to[j·step + i] = factor·from[i][j] for i < rows, 0 up to `width`, 16 at most; j < count. */
    void (*transpose)(const float *const *from, int64_t rows, int64_t count, float factor,
                      float *to, int64_t width, int64_t step);
};

/* A matrix of f32 or bf16 rows of c channels, each row `stride` elements after the last. */
struct rows {
    void *data;
    enum dtype dtype;
    int64_t stride;
};

struct group_norm_simd {
    /* Of `count` rows and each channel j: shift[j] = x of the first row, sum[j] = Σ(x − shift[j]),
     * square[j] = Σ(x − shift[j])². */
    void (*sums)(struct rows x, int64_t count, int64_t c, float *shift, float *sum, float *square);
    /* y = a[j]·x + b[j], then SiLU where asked; y may be x. */
    void (*apply)(struct rows x, struct rows y, int64_t count, int64_t c, const float *a,
                  const float *b, bool silu);
};

/* Of a norm's channels: z = a·x + b, and its gradient dx = a·dz + slope·(x − mean) + constant. */
struct group_norm_folded {
    const float *a, *b, *mean, *slope, *constant;
};

struct group_norm_gradient_simd {
    /* Of `count` rows and each channel j: sum[j] = Σ dz, product[j] = Σ dz·(x − mean), where dz is
     * dy, times the derivative of SiLU at z where asked. */
    void (*sums)(struct rows x, struct rows dy, int64_t count, int64_t c,
                 const struct group_norm_folded *folded, bool silu, float *sum, float *product);
    /* dx plus `added` (data may be NULL). dx may be x, dy or added. One dtype for all. */
    void (*apply)(struct rows x, struct rows dy, struct rows added, struct rows dx, int64_t count,
                  int64_t c, const struct group_norm_folded *folded, bool silu);
};

struct resample_simd {
    /* The mean of 2 neighbours along w, summed over the rows of a mean: to = (first ? 0 : to) +
     * even + odd positions of `from`; `count` positions of c channels in `to`, twice as many in
     * `from`. */
    void (*add_pairs)(const float *from, float *to, int64_t count, int64_t c, bool first);
    void (*scale)(float *values, int64_t count, float factor);
};

struct attention_simd {
    /* c (rows, columns; ldc) = a (rows, depth; lda) · b, plus scale[row] · c unless scale is NULL.
     * rows is a multiple of 8; b is packed, its columns padded with zeros to a multiple of 16. */
    void (*multiply)(int64_t rows, int64_t depth, int64_t columns, const float *a, int64_t lda,
                     const float *b, float *c, int64_t ldc, const float *scale);
    /* One more block of scores (count, a multiple of 16; −∞ where there is no key) of one query:
     * scores become exp(score − maximum), maximum and sum go on, and the result is the factor that
     * what was accumulated before takes. The first block starts with maximum = −∞, sum = 0. */
    float (*softmax)(float *scores, int64_t count, float *maximum, float *sum);
    /* The same of scale·scores, and the weights rounded to bf16, which sum counts. */
    float (*softmax_bf16)(float *scores, int64_t count, float scale, float *maximum, float *sum,
                          uint16_t *weights);
    /* Gradients of the weights of one query become those of its scores: weight·(gradient −
     * share). */
    void (*differentiate)(const float *weights, float *gradients, int64_t count, float share);
    /* Scores of one key against `count` queries become the weights exp(factor·score − level), and
     * their gradients those of the scores. */
    void (*weigh_columns)(float *scores, float *gradients, int64_t count, float factor,
                          const float *levels, const float *shares);
    /* Pack b (depth, columns), or its transpose (columns, depth). */
    void (*pack)(struct rows from, int64_t depth, int64_t columns, float *b);
    void (*pack_transposed)(struct rows from, int64_t columns, int64_t depth, float *b);
    /* Pack bf16 b (depth, columns) for multiply_bf16 of struct convolution_simd. Its transpose is
     * packed by pack_transposed with pairs for elements. */
    void (*pack_pairs)(struct rows from, int64_t depth, int64_t columns, uint16_t *b);
    /* to = factor · the first `count` elements of `from`. */
    void (*scale)(struct rows from, int64_t count, float factor, float *to);
};

struct linear_simd {
    /* Σ a·b over count elements, a multiple of 16. */
    float (*dot)(const float *a, const float *b, int64_t count);
    void (*silu)(const float *from, float *to, int64_t count);
    /* gradient *= the derivative of SiLU at x. */
    void (*silu_gradient)(const float *x, float *gradient, int64_t count);
};

/* Rows of f32; out may be an input. */
struct elementwise_simd {
    /* out = a + factor·b; out = factor·a. */
    void (*add)(const float *a, const float *b, float factor, float *out, int64_t count);
    void (*scale)(const float *a, float factor, float *out, int64_t count);
    /* out = gate > 0 ? a : slope·a. */
    void (*leaky_relu)(const float *gate, const float *a, float slope, float *out, int64_t count);
    /* Σ a·(b − c). */
    float (*product)(const float *a, const float *b, const float *c, int64_t count);
    /* Σ f(x), and out = factor·f′(x), of a loss's terms; t where there is no target: any. */
    float (*loss)(enum loss_kind kind, const float *x, const float *t, int64_t count);
    void (*loss_slope)(enum loss_kind kind, const float *x, const float *t, float factor,
                       float *out, int64_t count);
};

/* The loops of kernels/optimizer.h, over a block. */
struct adamw_coefficients;
struct optimizer_simd {
    void (*adamw)(float *value, float *m, float *v, const float *gradient, int64_t count,
                  const struct adamw_coefficients *coefficients);
    float (*square_sum)(const float *x, int64_t count);
    void (*average)(float *average, const float *value, float share, int64_t count);
};

/* `count` f32 rows of c channels: out = their maximum, or factor times their sum in that order. */
struct pool_simd {
    void (*maximum)(const float *const *rows, int count, int64_t c, float *out);
    void (*sum)(const float *const *rows, int count, int64_t c, float factor, float *out);
};

struct quantize_simd {
    /* The index of the code nearest to `value` (c); codes are transposed, (c, count), and count is
     * a multiple of QUANTIZE_BLOCK. */
    int32_t (*nearest)(const float *codes, int64_t count, int64_t c, const float *value);
};
enum { QUANTIZE_BLOCK = 32 };

/* Sums of pixels to a map: output = sum + bias + beta·residual, with relu no less than 0, for
 * `channels` channels of `pixels` pixels, `sum_step` and `step` elements apart. residual may be
 * NULL or the output itself. */
struct convolution_sums {
    const float *sums, *bias;
    const void *residual;
    void *output;
    enum dtype dtype; /* of residual and output */
    int64_t sum_step, step, pixels, channels;
    float beta;
    bool relu;
};

struct convolution_simd {
    void (*finish)(const struct convolution_sums *sums);
    /* c (rows, columns; ldc) = (first ? 0 : c) + a (rows, 2·pairs; lda) · b, bf16 products summed
     * in f32. rows is a multiple of 8, columns one of 16; b is packed. NULL in sets without bf16
     * products; to be called only where cpu_has_bf16. */
    void (*multiply_bf16)(int64_t rows, int64_t pairs, int64_t columns, const uint16_t *a,
                          int64_t lda, const uint16_t *b, float *c, int64_t ldc, bool first);
    /* Columns column … column+15 of a packed matrix b (depth, columns), both multiples of 16: rows
     * first … first+count−1 of it, row i at from + i·step. For bf16 depth and first are even, and
     * the last of an odd number of rows is followed by one of zeros. */
    void (*place_f32)(const float *from, int64_t step, int64_t first, int64_t count, int64_t column,
                      int64_t depth, int64_t columns, float *b);
    void (*place_bf16)(const float *from, int64_t step, int64_t first, int64_t count,
                       int64_t column, int64_t depth, int64_t columns, uint16_t *b);
};

/* Products of a convolution with the lines of its kernel: pixel i sees `depth` elements under line
 * k, from a[k] + i·step on, and that line's packed weights are b[k]. Elements are f32, or bf16. */
struct line_products {
    const void *const *a, *const *b;
    int64_t lines, step, depth;
};

/* The bf16 ones are NULL in sets without bf16 products; to be called only where cpu_has_bf16. */
struct convolution_lines_simd {
    /* to (pixels, columns) = Σ a·b over all lines, for `columns` columns from the first
     * on, both multiples of 16, first one of the widest panel's. pixels is a multiple of 8; b is
     * packed as for attention_simd.multiply and convolution_simd.multiply_bf16. */
    void (*multiply_f32)(const struct line_products *products, int64_t pixels, int64_t first,
                         int64_t columns, float *to);
    void (*multiply_bf16)(const struct line_products *products, int64_t pixels, int64_t first,
                          int64_t columns, float *to);
    /* to (pixels, LINE_OUTPUTS) = the same for that many columns, summed along depth, which is a
     * multiple of 16, for bf16 of 32. pixels is a multiple of 4; b is plain, (LINE_OUTPUTS,
     * depth). */
    void (*sum_f32)(const struct line_products *products, int64_t pixels, float *to);
    void (*sum_bf16)(const struct line_products *products, int64_t pixels, float *to);
};
enum { LINE_OUTPUTS = 4 };

/* Sums over pixels for the gradient of a convolution's kernel. A step is a pixel, or a pair of bf16
 * pixels; packed, it takes 4 bytes a channel. */
struct convolution_weights_simd {
    int lanes;   /* of a vector */
    int rows;    /* of a register tile */
    int vectors; /* of a register tile, at most */
    /* Channels first … first+channels−1 of a list of pixels, f32 or bf16, to (steps, width), padded
     * with zeros. pack makes steps of single pixels, pack_pairs of pairs of bf16 pixels. */
    void (*pack)(const void *const *pixel, enum dtype dtype, int64_t steps, int64_t first,
                 int64_t channels, int64_t width, float *to);
    void (*pack_pairs)(const void *const *pixel, int64_t steps, int64_t first, int64_t channels,
                       int64_t width, float *to);
    /* c (rows, vectors·lanes) += Σ over steps of a (steps, rows; a_step) · b (steps,
     * vectors·lanes), of f32 or of bf16 pairs; the latter NULL in sets without them, to be called
     * only where cpu_has_bf16. */
    void (*multiply)(int vectors, int64_t steps, const float *a, int64_t a_step, const float *b,
                     float *c);
    void (*multiply_bf16)(int vectors, int64_t steps, const float *a, int64_t a_step,
                          const float *b, float *c);
    /* to[j] += Σ of channel j over count rows. */
    void (*sum_rows)(struct rows x, int64_t count, int64_t channels, float *to);
    void (*add)(const float *from, int64_t count, float *to);
    /* to[j·to_step + t] += factor·from[t·from_step + j] for t < taps, j < count. */
    void (*add_transposed)(const float *from, int64_t from_step, int64_t taps, int64_t count,
                           float factor, float *to, int64_t to_step);
};

/* A product of Winograd's convolution: rows (tiles) times channels, summed over kernel planes. Row
 * r of plane k begins at a + r·row_step + k·plane_step; b is packed, plane after plane. */
struct winograd_product {
    const float *a, *b;
    int64_t row_step, plane_step, depth; /* depth: channels summed over */
    int planes;
};

/* Pixels of a tile in memory, f32 or bf16: elements from one row and column to the next. */
struct winograd_pixels {
    void *data; /* NULL: none */
    enum dtype dtype;
    int64_t row, column;
};

/* Where the outputs of a tile go: output = sum + bias + beta·addend, with relu no less than 0, the
 * first `rows` rows and `columns` columns of 4×4. The addend may be the output itself, bias may be
 * NULL. */
struct winograd_tile {
    struct winograd_pixels output, addend;
    const float *bias;
    int64_t channels;
    int rows, columns;
    float beta;
    bool relu;
};

struct winograd_simd {
    int lanes;   /* of a vector */
    int rows;    /* of a register tile: multiply works on multiples of it */
    int vectors; /* of a register tile, at most */
    /* Kernels of one vector of outputs, (channels, 3×3, lanes) of f32 or bf16, to 36 products
     * each: product i of channel c goes to to + i·step + c·stride. */
    void (*transform_weights)(const void *taps, enum dtype dtype, int64_t channels, float *to,
                              int64_t stride, int64_t step);
    /* A patch of 6×6 pixels, f32 or bf16, to 36 products: product i of channel c goes to
     * to[i·step + c]. Rows of `to` have room for whole vectors. */
    void (*transform_input)(const void *const *pixel, enum dtype dtype, int64_t channels, float *to,
                            int64_t step);
    /* to (rows, vectors·lanes) = a·b. */
    void (*multiply)(const struct winograd_product *product, int vectors, int64_t rows, float *to);
    /* For the gradient of the kernel: a tile of 4×4 pixels of dy, f32 or bf16, to 36 products, as
     * above; and sums of their products with those of a patch, sum i of channel c at
     * sums[i·step + c], to the 3×3 of a kernel, tap t of channel c at to[t·to_step + c], whole
     * vectors of channels. */
    void (*transform_gradient)(const void *const *pixel, enum dtype dtype, int64_t channels,
                               float *to, int64_t step);
    void (*transform_sums)(const float *sums, int64_t step, int64_t channels, float *to,
                           int64_t to_step);
    /* Sums of one tile, sum i of channel c at products[i·step + c], to its outputs. */
    void (*transform_output)(const struct winograd_tile *tile, const float *products, int64_t step);
};

struct simd {
    const char *name; /* "avx512", "avx2", "portable" */
    const struct convert_simd *convert;
    const struct group_norm_simd *group_norm;
    const struct group_norm_gradient_simd *group_norm_gradient;
    const struct resample_simd *resample;
    const struct attention_simd *attention;
    const struct linear_simd *linear;
    const struct elementwise_simd *elementwise;
    const struct optimizer_simd *optimizer;
    const struct quantize_simd *quantize;
    const struct pool_simd *pool;
    const struct convolution_simd *convolution;
    const struct convolution_lines_simd *convolution_lines;
    const struct convolution_weights_simd *convolution_weights;
    const struct winograd_simd *winograd;
};

#define SIMD_TABLES(set)                                                                           \
    extern const struct convert_simd convert_simd_##set;                                           \
    extern const struct group_norm_simd group_norm_simd_##set;                                     \
    extern const struct group_norm_gradient_simd group_norm_gradient_simd_##set;                   \
    extern const struct resample_simd resample_simd_##set;                                         \
    extern const struct attention_simd attention_simd_##set;                                       \
    extern const struct linear_simd linear_simd_##set;                                             \
    extern const struct elementwise_simd elementwise_simd_##set;                                   \
    extern const struct optimizer_simd optimizer_simd_##set;                                       \
    extern const struct quantize_simd quantize_simd_##set;                                         \
    extern const struct pool_simd pool_simd_##set;                                                 \
    extern const struct convolution_simd convolution_simd_##set;                                   \
    extern const struct convolution_lines_simd convolution_lines_simd_##set;                       \
    extern const struct convolution_weights_simd convolution_weights_simd_##set;                   \
    extern const struct winograd_simd winograd_simd_##set;

SIMD_TABLES(portable)
#ifndef SIMD_ONLY_PORTABLE
SIMD_TABLES(avx2)
SIMD_TABLES(avx512)
#endif

/* The table in use: the widest set of this processor, or a narrower one that the environment
 * variable OCTPIPE_SIMD names. */
const struct simd *simd(void);

/* Use the named set from now on, for tests: 0, or −1 where the processor lacks it. */
int simd_select(const char *name);

#endif
