#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

enum {
    STEP = ROWS_MULTIPLE,       /* outputs that are computed together at the edges of a slice */
    LINES = 64,                 /* of a kernel, at most */
    FEW_INPUTS = 15,            /* channels: up to so many go by lines */
    FEW_OUTPUTS = LINE_OUTPUTS, /* channels: up to so many are summed over the numbers of a line */
    SUMMED_F32 = 16,            /* numbers of a line are padded to a multiple of these there */
    SUMMED_BF16 = 32,
};

/* Padding a line may add a third; else vectors over 16 output channels waste no more. */
static bool sums_numbers(const struct operation *o)
{
    int64_t line = o->convolution.kernel[AXIS_W] * o->input[0].shape.c;
    return o->output.shape.c <= FEW_OUTPUTS &&
           4 * line >= 3 * convolution_rounded(line, SUMMED_F32);
}

bool convolution_lines_suit(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    return !c->upsampled[AXIS_W] && (!c->transposed || c->stride[AXIS_W] == 1) &&
           c->kernel[AXIS_D] * c->kernel[AXIS_H] <= LINES && o->output.shape.w >= STEP &&
           (o->input[0].shape.c <= FEW_INPUTS || sums_numbers(o));
}

/* Elements of the input between neighbouring outputs. */
static int64_t step_of(const struct convolution_state *s)
{
    return s->operation.convolution.stride[AXIS_W] * s->operation.input[0].shape.c;
}

/* Bytes of what STEP outputs see under a line. */
static int64_t line_bytes(const struct convolution_state *s)
{
    return convolution_rounded(((STEP - 1) * step_of(s) + s->depth) * (s->bf16 ? 2 : 4), 64);
}

void convolution_lines_measure(struct convolution_state *s)
{
    const struct convolution *c = &s->operation.convolution;
    int64_t line = c->kernel[AXIS_W] * s->operation.input[0].shape.c;
    int64_t out = s->operation.output.shape.c;
    s->taps = c->kernel[AXIS_D] * c->kernel[AXIS_H];
    if (sums_numbers(&s->operation)) {
        s->way = BY_LINES_SUMMED;
        s->depth = convolution_rounded(line, s->bf16 ? SUMMED_BF16 : SUMMED_F32);
        s->columns = FEW_OUTPUTS;
    } else {
        s->way = BY_LINES;
        s->depth = s->bf16 ? convolution_rounded(line, 2) : line;
        s->columns = convolution_rounded(out, COLUMNS_MULTIPLE);
    }
    s->desk_bytes = s->taps * line_bytes(s) + PIXELS * convolution_at_most(s->columns, COLUMNS) * 4;
}

/* What a row of outputs sees: rows of the input and the weights of the kernel's lines over them;
 * lines that lie in zero padding, or between the inputs of a transposed convolution, are left out.
 */
struct view {
    int64_t lines;
    const char *row[LINES];
    const void *weights[LINES];
};

static void view_row(const struct convolution_state *s, const char *sample, int64_t z, int64_t y,
                     struct view *view)
{
    const struct convolution *c = &s->operation.convolution;
    struct tensor in = s->operation.input[0];
    int64_t row_bytes = in.shape.w * in.shape.c * dtype_size(in.dtype);
    const char *weights = s->prepared;
    view->lines = 0;
    for (int64_t kd = 0; kd < c->kernel[AXIS_D]; kd++) {
        int64_t iz = convolution_source(c, AXIS_D, z, kd, in.shape.d);
        for (int64_t kh = 0; kh < c->kernel[AXIS_H]; kh++, weights += s->tap_bytes) {
            int64_t iy = convolution_source(c, AXIS_H, y, kh, in.shape.h);
            if (iz < 0 || iy < 0)
                continue;
            view->row[view->lines] = sample + (iz % s->in_slices * in.shape.h + iy) * row_bytes;
            view->weights[view->lines++] = weights;
        }
    }
}

/* The first pixel of an input row that output x of a row sees; it may lie outside. */
static int64_t first_seen(const struct convolution *c, int64_t x)
{
    int64_t at =
        c->transposed ? x + c->crop[AXIS_W] - (c->kernel[AXIS_W] - 1) : x * c->stride[AXIS_W];
    return at - c->pad_front[AXIS_W];
}

static bool widens(const struct convolution_state *s)
{
    return s->operation.input[0].dtype == DTYPE_BF16 && !s->bf16;
}

/* True where the lines of outputs x … x+STEP−1 can be read from the input's rows. */
static bool lies_inside(const struct convolution_state *s, int64_t x)
{
    struct shape in = s->operation.input[0].shape;
    int64_t at = first_seen(&s->operation.convolution, x);
    return !widens(s) && at >= 0 && at * in.c + (STEP - 1) * step_of(s) + s->depth <= in.w * in.c;
}

static char *copy(const struct convolution_state *s, const char *from, int64_t pixels, char *to)
{
    int64_t count = pixels * s->operation.input[0].shape.c, element = s->bf16 ? 2 : 4;
    if (!from)
        memset(to, 0, (size_t)(count * element));
    else if (widens(s))
        bf16_to_f32((const uint16_t *)(const void *)from, (float *)(void *)to, count);
    else
        memcpy(to, from, (size_t)(count * element));
    return to + count * element;
}

/* What outputs x … x+STEP−1 see of an input row, with its padding. */
static void copy_line(const struct convolution_state *s, const char *row, int64_t x, char *to)
{
    const struct convolution *c = &s->operation.convolution;
    struct tensor in = s->operation.input[0];
    int64_t pixel = in.shape.c * dtype_size(in.dtype), first = first_seen(c, x);
    int64_t end = first + (STEP - 1) * c->stride[AXIS_W] + c->kernel[AXIS_W];
    int64_t inside = first < 0 ? convolution_at_most(0, end) : first;
    int64_t behind = end > in.shape.w ? in.shape.w : end;
    bool repeat = c->padding == PADDING_REPLICATE;
    const char *last = row + (in.shape.w - 1) * pixel, *stop = to + line_bytes(s);
    for (int64_t i = first; i < inside; i++)
        to = copy(s, repeat ? row : NULL, 1, to);
    if (behind > inside)
        to = copy(s, row + inside * pixel, behind - inside, to);
    for (int64_t i = behind > inside ? behind : inside; i < end; i++)
        to = copy(s, repeat ? last : NULL, 1, to);
    memset(to, 0, (size_t)(stop - to));
}

/* Sums of `pixels` outputs to a map from element `at` on, with fewer channels than a vector holds:
 * the sums are moved together, and a step of outputs is finished like one of more channels. */
static void finish_few(const struct convolution_state *s, const struct convolution_maps *maps,
                       float *sums, int64_t stride, int64_t pixels, int64_t at)
{
    int64_t out = s->operation.output.shape.c, step = STEP * out, steps = pixels / STEP;
    const float *bias = (const float *)(const void *)(s->prepared + s->bias);
    float repeated[STEP * COLUMNS_MULTIPLE];
    for (int64_t i = 0; i < step; i++)
        repeated[i] = bias[i % out];
    for (int64_t i = 0; i < pixels && stride > out; i++)
        for (int64_t k = 0; k < out; k++)
            sums[i * out + k] = sums[i * stride + k];
    struct convolution_sums whole = {.sums = sums,
                                     .bias = repeated,
                                     .sum_step = step,
                                     .step = step,
                                     .pixels = steps,
                                     .channels = step};
    struct convolution_sums rest = whole;
    rest.sums += steps * step;
    rest.pixels = 1;
    rest.channels = pixels * out - steps * step;
    convolution_finish(s, maps, at, whole);
    convolution_finish(s, maps, at + steps * step, rest);
}

/* All channels of `pixels` outputs from element `at` on; sums has room for whole steps. */
static void compute(const struct convolution_state *s, const struct convolution_maps *maps,
                    const struct line_products *p, int64_t pixels, int64_t at, float *sums)
{
    const struct convolution_lines_simd *lines = simd()->convolution_lines;
    const float *bias = (const float *)(const void *)(s->prepared + s->bias);
    int64_t out = s->operation.output.shape.c, whole = convolution_rounded(pixels, STEP);
    if (s->way == BY_LINES_SUMMED) {
        (s->bf16 ? lines->sum_bf16 : lines->sum_f32)(p, whole, sums);
        finish_few(s, maps, sums, FEW_OUTPUTS, pixels, at);
        return;
    }
    for (int64_t column = 0; column < out; column += COLUMNS) {
        int64_t columns = convolution_at_most(s->columns - column, COLUMNS);
        (s->bf16 ? lines->multiply_bf16 : lines->multiply_f32)(p, whole, column, columns, sums);
        if (out < COLUMNS_MULTIPLE)
            finish_few(s, maps, sums, columns, pixels, at);
        else
            convolution_finish(
                s, maps, at + column,
                (struct convolution_sums){.sums = sums,
                                          .bias = bias + column,
                                          .sum_step = columns,
                                          .step = out,
                                          .pixels = pixels,
                                          .channels = convolution_at_most(out - column, COLUMNS)});
    }
}

void convolution_lines_unit(const struct convolution_state *s, const struct convolution_maps *maps,
                            int64_t n, int64_t z, int64_t y, int64_t first, void *desk)
{
    const struct tensor *in = &s->operation.input[0];
    struct shape out = s->operation.output.shape;
    int64_t count = convolution_at_most(out.w - first, PIXELS);
    int64_t at = ((n * s->out_slices + z % s->out_slices) * out.h + y) * out.w + first;
    float *sums = (float *)(void *)((char *)desk + s->taps * line_bytes(s));
    struct view view;
    const void *a[LINES];
    view_row(s, (const char *)maps->input + n * s->in_slices * convolution_slice_bytes(in), z, y,
             &view);
    for (int64_t i = 0, pixels; i < count; i += pixels) {
        bool inside = lies_inside(s, first + i);
        for (pixels = STEP; inside && i + pixels < count && lies_inside(s, first + i + pixels);)
            pixels += STEP;
        pixels = convolution_at_most(pixels, count - i);
        int64_t offset =
            first_seen(&s->operation.convolution, first + i) * in->shape.c * dtype_size(in->dtype);
        for (int64_t k = 0; k < view.lines; k++) {
            char *line = (char *)desk + k * line_bytes(s);
            if (!inside)
                copy_line(s, view.row[k], first + i, line);
            a[k] = inside ? view.row[k] + offset : line;
        }
        compute(s, maps, &(struct line_products){a, view.weights, view.lines, step_of(s), s->depth},
                pixels, (at + i) * out.c, sums);
    }
}
