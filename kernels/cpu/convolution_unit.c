#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/simd.h"

#include <string.h>

/* A thread's memory: the pixels of a block under one tap, and the sums of a unit. */
struct desk {
    void *pixels;
    float *sums, *ones; /* (PIXELS, COLUMNS); (PIXELS) */
};

static struct desk desk_of(const struct convolution_state *s, void *memory)
{
    struct desk desk = {.pixels = memory};
    desk.sums = (float *)(void *)((char *)memory +
                                  convolution_rounded(PIXELS * s->depth * (s->bf16 ? 2 : 4), 64));
    desk.ones = desk.sums + PIXELS * COLUMNS;
    for (int i = 0; i < PIXELS; i++)
        desk.ones[i] = 1;
    return desk;
}

int64_t convolution_source(const struct convolution *c, int axis, int64_t o, int64_t k,
                           int64_t extent)
{
    int64_t at = o * c->stride[axis] + k;
    if (c->transposed) {
        at = o + c->crop[axis] - k;
        if (at % c->stride[axis])
            return -1;
        at /= c->stride[axis];
    }
    at -= c->pad_front[axis];
    if (at >= 0 && at < extent << c->upsampled[axis])
        return at >> c->upsampled[axis];
    if (c->padding == PADDING_ZERO)
        return -1;
    return at < 0 ? 0 : extent - 1;
}

/* `count` adjacent pixels from the input (NULL: zeros) to a block's pixels. */
static void copy_pixels(const struct convolution_state *s, const char *from, int64_t count,
                        char *to)
{
    int64_t c = s->operation.input[0].shape.c, element = s->bf16 ? 2 : 4;
    bool widen = s->operation.input[0].dtype == DTYPE_BF16 && !s->bf16;
    if (!from)
        memset(to, 0, (size_t)(count * s->depth * element));
    else if (widen)
        bf16_to_f32((const uint16_t *)(const void *)from, (float *)(void *)to, count * c);
    else if (c == s->depth)
        memcpy(to, from, (size_t)(count * c * element));
    else
        for (int64_t i = 0; i < count; i++) {
            memcpy(to + i * s->depth * element, from + i * c * element, (size_t)(c * element));
            memset(to + (i * s->depth + c) * element, 0, (size_t)((s->depth - c) * element));
        }
}

/* What outputs first … first+count−1 of a row see under kernel column kw, from an input row (NULL:
 * outside): runs of adjacent pixels, and padding. */
static void collect_row(const struct convolution_state *s, const char *row, int64_t first,
                        int64_t count, int64_t kw, char *to)
{
    const struct convolution *c = &s->operation.convolution;
    struct tensor in = s->operation.input[0];
    int64_t pixel = in.shape.c * dtype_size(in.dtype), step = s->depth * (s->bf16 ? 2 : 4);
    for (int64_t i = 0; i < count;) {
        int64_t at = row ? convolution_source(c, AXIS_W, first + i, kw, in.shape.w) : -1, run = 1;
        while (i + run < count &&
               (!row || convolution_source(c, AXIS_W, first + i + run, kw, in.shape.w) ==
                            (at < 0 ? -1 : at + run)))
            run++;
        copy_pixels(s, at < 0 ? NULL : row + at * pixel, run, to + i * step);
        i += run;
    }
}

/* Where the pixels that a block sees under a tap lie one after another in the input, whole rows of
 * products at a time: the first of them; else NULL. */
static const char *adjacent(const struct convolution_state *s, const char *plane, int64_t first,
                            int64_t count, const int64_t tap[AXES])
{
    const struct convolution *c = &s->operation.convolution;
    struct tensor in = s->operation.input[0];
    int64_t width = s->operation.output.shape.w, y = first / width, x = first % width;
    bool dense = !c->transposed && !c->upsampled[AXIS_H] && !c->upsampled[AXIS_W] &&
                 c->stride[AXIS_H] == 1 && c->stride[AXIS_W] == 1;
    bool pointwise = in.shape.w == width && c->kernel[AXIS_H] == 1 && c->kernel[AXIS_W] == 1;
    if (!dense || count % ROWS_MULTIPLE || s->depth != in.shape.c ||
        s->bf16 != (in.dtype == DTYPE_BF16))
        return NULL;
    int64_t iy = y + tap[AXIS_H] - c->pad_front[AXIS_H];
    int64_t ix = x + tap[AXIS_W] - c->pad_front[AXIS_W];
    bool inside =
        iy >= 0 && iy < in.shape.h && ix >= 0 && ix + count <= in.shape.w && x + count <= width;
    if (!pointwise && !inside)
        return NULL;
    return plane + (iy * in.shape.w + ix) * in.shape.c * dtype_size(in.dtype);
}

/* The pixels of a block under tap (kd, kh, kw), where they lie or copied to `to`; NULL where all of
 * them are zero. */
static const void *collect(const struct convolution_state *s, const char *sample, int64_t z,
                           int64_t first, int64_t count, const int64_t tap[AXES], char *to)
{
    const struct convolution *c = &s->operation.convolution;
    struct tensor in = s->operation.input[0];
    int64_t width = s->operation.output.shape.w, step = s->depth * (s->bf16 ? 2 : 4);
    int64_t row_bytes = in.shape.w * in.shape.c * dtype_size(in.dtype);
    int64_t iz = convolution_source(c, AXIS_D, z, tap[AXIS_D], in.shape.d);
    if (iz < 0)
        return NULL;
    const char *plane = sample + iz % s->in_slices * in.shape.h * row_bytes;
    const char *there = adjacent(s, plane, first, count, tap);
    if (there)
        return there;
    for (int64_t i = 0; i < count;) {
        int64_t y = (first + i) / width, x = (first + i) % width;
        int64_t run = width - x < count - i ? width - x : count - i;
        int64_t iy = convolution_source(c, AXIS_H, y, tap[AXIS_H], in.shape.h);
        collect_row(s, iy < 0 ? NULL : plane + iy * row_bytes, x, run, tap[AXIS_W], to + i * step);
        i += run;
    }
    return to;
}

static void multiply(const struct convolution_state *s, int64_t rows, int64_t columns,
                     const void *pixels, const char *packed, struct desk desk, bool first)
{
    if (s->bf16)
        simd()->convolution->multiply_bf16(rows, s->depth / 2, columns, pixels, s->depth,
                                           (const uint16_t *)(const void *)packed, desk.sums,
                                           COLUMNS, first);
    else
        simd()->attention->multiply(rows, s->depth, columns, pixels, s->depth,
                                    (const float *)(const void *)packed, desk.sums, COLUMNS,
                                    first ? NULL : desk.ones);
}

void convolution_finish(const struct convolution_state *s, const struct convolution_maps *maps,
                        int64_t at, struct convolution_sums sums)
{
    int64_t offset = at * dtype_size(s->operation.output.dtype);
    sums.residual = maps->residual ? (const char *)maps->residual + offset : NULL;
    sums.output = (char *)maps->output + offset;
    sums.dtype = s->operation.output.dtype;
    sums.beta = s->beta;
    sums.relu = s->operation.convolution.relu;
    simd()->convolution->finish(&sums);
}

void convolution_unit(const struct convolution_state *s, const struct convolution_maps *maps,
                      int64_t n, int64_t z, int64_t first, int64_t chunk, void *memory)
{
    const struct operation *o = &s->operation;
    const struct convolution *c = &o->convolution;
    struct shape out = o->output.shape;
    struct desk desk = desk_of(s, memory);
    int64_t plane = out.h * out.w, column = chunk * COLUMNS, element = s->bf16 ? 2 : 4;
    int64_t pixels = plane - first < PIXELS ? plane - first : PIXELS;
    int64_t rows = convolution_rounded(pixels, ROWS_MULTIPLE);
    int64_t columns = s->columns - column < COLUMNS ? s->columns - column : COLUMNS;
    const char *sample =
        (const char *)maps->input + n * s->in_slices * convolution_slice_bytes(&o->input[0]);
    bool empty = true;
    memset((char *)desk.pixels + pixels * s->depth * element, 0,
           (size_t)((rows - pixels) * s->depth * element));
    for (int64_t t = 0; t < s->taps; t++) {
        int64_t tap[AXES] = {t / c->kernel[AXIS_W] / c->kernel[AXIS_H],
                             t / c->kernel[AXIS_W] % c->kernel[AXIS_H], t % c->kernel[AXIS_W]};
        const void *seen = collect(s, sample, z, first, pixels, tap, desk.pixels);
        if (!seen)
            continue;
        multiply(s, rows, columns, seen,
                 s->prepared + t * s->tap_bytes + column * s->depth * element, desk, empty);
        empty = false;
    }
    if (empty)
        memset(desk.sums, 0, (size_t)(rows * COLUMNS) * sizeof(float));
    int64_t at = ((n * s->out_slices + z % s->out_slices) * plane + first) * out.c + column;
    convolution_finish(s, maps, at,
                       (struct convolution_sums){
                           .sums = desk.sums,
                           .bias = (const float *)(const void *)(s->prepared + s->bias) + column,
                           .sum_step = COLUMNS,
                           .step = out.c,
                           .pixels = pixels,
                           .channels = convolution_at_most(out.c - column, COLUMNS),
                       });
}
