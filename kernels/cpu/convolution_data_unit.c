#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/convolution_data.h"
#include "kernels/cpu/simd.h"

#include <string.h>

/* A thread's memory: the collected pixels of a block, one pixel and a sum of them, the sums of a
 * unit. */
struct desk {
    char *pixels;
    float *one, *sum;   /* (depth) each */
    float *sums, *ones; /* (PIXELS, COLUMNS); (PIXELS) */
};

/* Positions first … first+count−1 of a phase in slice z: `width` of them in a row. */
struct block {
    int64_t z, top, left, width, first, count;
};

static int64_t element_of(const struct convolution_data *s)
{
    return s->bf16 ? 2 : 4;
}

static struct desk desk_of(const struct convolution_data *s, void *memory)
{
    struct desk desk = {.pixels = memory};
    int64_t pixels = convolution_rounded(PIXELS * s->depth * element_of(s), 64);
    desk.one = (float *)(void *)((char *)memory + pixels);
    desk.sum = desk.one + s->depth;
    desk.sums = desk.one + convolution_rounded(2 * s->depth, 16);
    desk.ones = desk.sums + PIXELS * COLUMNS;
    for (int i = 0; i < PIXELS; i++)
        desk.ones[i] = 1;
    return desk;
}

/* `count` adjacent pixels of dy (NULL: zeros). */
static void copy_pixels(const struct convolution_data *s, const char *from, int64_t count, char *to)
{
    struct tensor dy = s->forward.output;
    int64_t c = dy.shape.c, element = element_of(s);
    if (!from)
        memset(to, 0, (size_t)(count * s->depth * element));
    else if (element != dtype_size(dy.dtype))
        bf16_to_f32((const uint16_t *)(const void *)from, (float *)(void *)to, count * c);
    else if (c == s->depth)
        memcpy(to, from, (size_t)(count * c * element));
    else
        for (int64_t i = 0; i < count; i++) {
            memcpy(to + i * s->depth * element, from + i * c * element, (size_t)(c * element));
            memset(to + (i * s->depth + c) * element, 0, (size_t)((s->depth - c) * element));
        }
}

/* The pixel of dy at a position. */
static const char *pixel_at(const struct convolution_data *s, const char *sample, int64_t z,
                            int64_t y, int64_t x)
{
    struct tensor dy = s->forward.output;
    return sample + ((z * dy.shape.h + y) * dy.shape.w + x) * dy.shape.c * dtype_size(dy.dtype);
}

/* The sum of all pixels that see one position. */
static void sum_pixels(const struct convolution_data *s, const char *sample,
                       const struct convolution_viewers *const v[AXES], struct desk desk, char *to)
{
    struct tensor dy = s->forward.output;
    const struct convolution_axis *axis = s->map.axis;
    int64_t c = dy.shape.c, rows = v[AXIS_H]->count, columns = v[AXIS_W]->count;
    memset(desk.sum, 0, (size_t)s->depth * sizeof *desk.sum);
    for (int64_t i = 0; i < v[AXIS_D]->count * rows * columns; i++) {
        int64_t z = v[AXIS_D]->first + i / columns / rows * axis[AXIS_D].step;
        int64_t y = v[AXIS_H]->first + i / columns % rows * axis[AXIS_H].step;
        int64_t x = v[AXIS_W]->first + i % columns * axis[AXIS_W].step;
        const float *pixel =
            activation_to_f32(pixel_at(s, sample, z, y, x), dy.dtype, 0, c, desk.one);
        for (int64_t k = 0; k < c; k++)
            desk.sum[k] += pixel[k];
    }
    if (s->bf16)
        f32_to_bf16(desk.sum, (uint16_t *)(void *)to, s->depth);
    else
        memcpy(to, desk.sum, (size_t)s->depth * sizeof *desk.sum);
}

/* Positions of a row of the block; v has the viewers along d and h. */
static void collect_row(const struct convolution_data *s, const char *sample,
                        const struct convolution_viewers *v[AXES], int64_t left, int64_t count,
                        int64_t kw, struct desk desk, char *to)
{
    const struct convolution_axis *w = &s->map.axis[AXIS_W];
    int64_t step = s->depth * element_of(s), single = v[AXIS_D]->count * v[AXIS_H]->count == 1;
    for (int64_t i = 0, run; i < count; i += run) {
        v[AXIS_W] = w->viewers + kw * w->in + left + i * w->phases;
        run = 1;
        if (v[AXIS_D]->count == 0 || v[AXIS_H]->count == 0) {
            run = count;
            copy_pixels(s, NULL, run, to);
        } else if (v[AXIS_W]->count == 0) {
            copy_pixels(s, NULL, 1, to + i * step);
        } else if (single && v[AXIS_W]->run) {
            run = v[AXIS_W]->run < count - i ? v[AXIS_W]->run : count - i;
            copy_pixels(s,
                        pixel_at(s, sample, v[AXIS_D]->first, v[AXIS_H]->first, v[AXIS_W]->first),
                        run, to + i * step);
        } else {
            sum_pixels(s, sample, v, desk, to + i * step);
        }
    }
}

/* What positions of a block see, row by row of it. */
struct walk {
    int64_t at, count; /* positions of the block before the row, and in it */
    int64_t left;      /* the first of them */
    const struct convolution_viewers *v[AXES];
};

static bool next_row(const struct convolution_data *s, const struct block *b,
                     const int64_t tap[AXES], struct walk *walk)
{
    const struct convolution_axis *h = &s->map.axis[AXIS_H], *w = &s->map.axis[AXIS_W];
    walk->at += walk->count;
    if (walk->at == b->count)
        return false;
    int64_t y = (b->first + walk->at) / b->width, x = (b->first + walk->at) % b->width;
    int64_t rest = b->count - walk->at;
    walk->count = b->width - x < rest ? b->width - x : rest;
    walk->left = b->left + x * w->phases;
    walk->v[AXIS_H] = h->viewers + tap[AXIS_H] * h->in + b->top + y * h->phases;
    walk->v[AXIS_W] = w->viewers + tap[AXIS_W] * w->in + walk->left;
    return true;
}

/* With strides whole rows see nothing under some taps. */
static bool sees_nothing(const struct convolution_data *s, const struct walk *walk)
{
    for (int64_t i = 0; i < walk->count; i++)
        if (walk->v[AXIS_W][i * s->map.axis[AXIS_W].phases].count)
            return false;
    return true;
}

/* What a block sees under a tap, where it lies one after another in dy in whole rows of products:
 * the first of it; else NULL. *empty: it sees nothing. */
static const char *adjacent(const struct convolution_data *s, const char *sample,
                            const struct block *b, const int64_t tap[AXES],
                            const struct convolution_viewers *depth, bool *empty)
{
    struct tensor dy = s->forward.output;
    struct walk walk = {.v = {depth}};
    const char *start = NULL;
    int64_t pixel = dy.shape.c * dtype_size(dy.dtype);
    bool together =
        depth->count == 1 && b->count % ROWS_MULTIPLE == 0 && pixel == s->depth * element_of(s);
    *empty = true;
    while (depth->count && next_row(s, b, tap, &walk)) {
        const struct convolution_viewers *y = walk.v[AXIS_H], *x = walk.v[AXIS_W];
        *empty = *empty && (y->count == 0 || sees_nothing(s, &walk));
        together &= y->count == 1 && x->run >= walk.count;
        if (!together)
            continue;
        const char *here = pixel_at(s, sample, depth->first, y->first, x->first);
        start = start ? start : here;
        together &= here == start + walk.at * pixel;
    }
    return together ? start : NULL;
}

/* What a block sees under a tap, where it lies or copied; NULL where that is nothing. */
static const void *collect(const struct convolution_data *s, const char *sample,
                           const struct block *b, const int64_t tap[AXES], struct desk desk)
{
    const struct convolution_axis *d = &s->map.axis[AXIS_D];
    struct walk walk = {.v = {d->viewers + tap[AXIS_D] * d->in + b->z}};
    bool empty;
    const char *there = adjacent(s, sample, b, tap, walk.v[AXIS_D], &empty);
    if (there || empty)
        return there;
    while (next_row(s, b, tap, &walk))
        collect_row(s, sample, walk.v, walk.left, walk.count, tap[AXIS_W], desk,
                    desk.pixels + walk.at * s->depth * element_of(s));
    return desk.pixels;
}

static void multiply(const struct convolution_data *s, int64_t rows, int64_t columns,
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

/* A unit's sums, with what is added, to dx. */
static void finish(const struct convolution_data *s, const struct convolution_data_call *call,
                   const struct block *b, int64_t slice, int64_t column, const float *sums)
{
    static const float no_bias[COLUMNS];
    struct tensor dx = s->forward.input[0];
    const struct convolution_axis *h = &s->map.axis[AXIS_H], *w = &s->map.axis[AXIS_W];
    int64_t channels = dx.shape.c - column < COLUMNS ? dx.shape.c - column : COLUMNS, run;
    for (int64_t i = 0; i < b->count; i += run) {
        int64_t y = (b->first + i) / b->width, x = (b->first + i) % b->width;
        int64_t row = slice * h->in + b->top + y * h->phases;
        int64_t at = (row * w->in + b->left + x * w->phases) * dx.shape.c + column;
        int64_t offset = at * dtype_size(dx.dtype);
        run = b->width - x < b->count - i ? b->width - x : b->count - i;
        simd()->convolution->finish(&(struct convolution_sums){
            .sums = sums + i * COLUMNS,
            .bias = no_bias,
            .residual = call->added ? (const char *)call->added + offset : NULL,
            .output = (char *)call->dx + offset,
            .dtype = dx.dtype,
            .sum_step = COLUMNS,
            .step = w->phases * dx.shape.c,
            .pixels = run,
            .channels = channels,
            .beta = 1,
        });
    }
}

void convolution_data_unit(const struct convolution_data *s,
                           const struct convolution_data_call *call, int64_t n, int64_t z,
                           int64_t phase, int64_t block, int64_t chunk, void *memory)
{
    const struct convolution *c = &s->forward.convolution;
    const struct convolution_axis *h = &s->map.axis[AXIS_H], *w = &s->map.axis[AXIS_W];
    struct block b = {.z = z, .top = phase / w->phases, .left = phase % w->phases};
    b.width = (w->in - b.left + w->phases - 1) / w->phases;
    b.first = block * PIXELS;
    b.count = b.width * ((h->in - b.top + h->phases - 1) / h->phases) - b.first;
    if (b.count <= 0)
        return;
    b.count = b.count < PIXELS ? b.count : PIXELS;
    struct desk desk = desk_of(s, memory);
    int64_t rows = convolution_rounded(b.count, ROWS_MULTIPLE), column = chunk * COLUMNS;
    int64_t columns = s->columns - column < COLUMNS ? s->columns - column : COLUMNS;
    int64_t row_bytes = s->depth * element_of(s);
    const char *sample =
        (const char *)call->dy + n * (tensor_bytes(s->forward.output) / s->forward.output.shape.n);
    bool first = true;
    memset(desk.pixels + b.count * row_bytes, 0, (size_t)((rows - b.count) * row_bytes));
    for (int64_t t = 0; t < s->taps; t++) {
        int64_t tap[AXES];
        convolution_tap(c, t, tap);
        const void *seen = collect(s, sample, &b, tap, desk);
        if (!seen)
            continue;
        multiply(s, rows, columns, seen, s->prepared + t * s->tap_bytes + column * row_bytes, desk,
                 first);
        first = false;
    }
    if (first)
        memset(desk.sums, 0, (size_t)(rows * COLUMNS) * sizeof(float));
    finish(s, call, &b, n * s->map.axis[AXIS_D].in + z, column, desk.sums);
}
