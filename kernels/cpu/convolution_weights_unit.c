#include "kernels/cpu/convolution_weights.h"
#include "kernels/cpu/simd.h"

/* Stands for pixels of x outside of the map, and for the missing half of the last pair. */
static const float zeros[WEIGHTS_GROUP * WEIGHTS_WIDTH];

int convolution_weights_panel(int64_t channels, int64_t panels, int64_t p, int64_t *channel)
{
    int64_t lanes = simd()->convolution_weights->lanes, vectors = (channels + lanes - 1) / lanes;
    int64_t each = vectors / panels, more = vectors % panels;
    *channel = (p * each + (p < more ? p : more)) * lanes;
    return (int)(each + (p < more));
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Outputs first … first+count−1 of a row, `at` of the block before them. */
struct run {
    int64_t n, z, y, first, count, at;
};

static bool next_run(struct shape y, int64_t begin, int64_t count, struct run *run)
{
    run->at += run->count;
    if (run->at == count)
        return false;
    int64_t output = begin + run->at, rest = count - run->at;
    run->first = output % y.w;
    run->y = output / y.w % y.h;
    run->z = output / y.w / y.h % y.d;
    run->n = output / y.w / y.h / y.d;
    run->count = y.w - run->first < rest ? y.w - run->first : rest;
    return true;
}

/* The pixels of x, from `channel` on, that the outputs of a block see under a tap. False where they
 * are all zeros. */
static bool find_pixels(const struct convolution_weights *s, const char *x, int64_t begin,
                        int64_t count, int64_t t, int64_t channel, const void **pixel)
{
    struct tensor in = s->products.input[0];
    const struct convolution_axis *d = &s->map.axis[AXIS_D], *h = &s->map.axis[AXIS_H],
                                  *w = &s->map.axis[AXIS_W];
    int64_t tap[AXES], size = dtype_size(in.dtype), step = in.shape.c * size;
    bool any = false;
    convolution_tap(&s->products.convolution, t, tap);
    struct run run = {0};
    while (next_run(s->products.output.shape, begin, count, &run)) {
        int64_t z = d->source[tap[AXIS_D] * d->out + run.z];
        int64_t y = h->source[tap[AXIS_H] * h->out + run.y];
        const int32_t *source = w->source + tap[AXIS_W] * w->out + run.first;
        bool there = z >= 0 && y >= 0;
        const char *row =
            there ? x + ((run.n * d->in + z) * h->in + y) * w->in * step + channel * size : NULL;
        any |= there;
        for (int64_t i = 0; i < run.count; i++)
            pixel[run.at + i] =
                there && source[i] >= 0 ? row + source[i] * step : (const void *)zeros;
    }
    return any;
}

/* `channels` channels from the first one on, to steps of `width`. */
static void pack(const struct convolution_weights *s, const void *const *pixel, enum dtype dtype,
                 int64_t count, int64_t first, int64_t channels, int64_t width, float *to)
{
    if (s->bf16)
        simd()->convolution_weights->pack_pairs(pixel, (count + 1) / 2, first, channels, width, to);
    else
        simd()->convolution_weights->pack(pixel, dtype, count, first, channels, width, to);
}

/* Multiply a block, whose dy is packed, with the pixels of x that it sees under a tap. */
static void multiply_tap(const struct convolution_weights *s,
                         const struct convolution_weights_task *task, const void *const *pixel,
                         int64_t count, float *to)
{
    const struct convolution_weights_simd *set = simd()->convolution_weights;
    int64_t in = s->products.input[0].shape.c, steps = s->bf16 ? (count + 1) / 2 : count;
    int64_t rows = at_most(s->rows, s->products.output.shape.c - task->row * s->rows), start, first;
    const float *y = (const float *)(void *)(task->desk + s->y_at);
    float *x = (float *)(void *)(task->desk + s->x_at);
    convolution_weights_panel(in, s->panels, task->column * s->group, &start);
    for (int64_t k = 0; k < s->group && task->column * s->group + k < s->panels; k++) {
        int vectors = convolution_weights_panel(in, s->panels, task->column * s->group + k, &first);
        int64_t width = vectors * set->lanes;
        float *tile = to + k * (s->rows / set->rows) * s->tile_floats;
        pack(s, pixel, s->products.input[0].dtype, count, first - start, at_most(width, in - first),
             width, x);
        for (int64_t c = 0; c < rows; c += set->rows, tile += s->tile_floats)
            if (s->bf16)
                set->multiply_bf16(vectors, steps, y + c, s->rows, x, tile);
            else
                set->multiply(vectors, steps, y + c, s->rows, x, tile);
    }
}

/* Outputs begin … begin+count−1. */
static void sum_block(const struct convolution_weights *s, const void *x, const void *dy,
                      const struct convolution_weights_task *task, int64_t begin, int64_t count)
{
    struct tensor out = s->products.output;
    const void **pixel = (const void **)(void *)task->desk;
    int64_t channel = task->row * s->rows, start, pixel_bytes = out.shape.c * dtype_size(out.dtype);
    const char *rows = (const char *)dy + begin * pixel_bytes;
    if (s->patched) {
        convolution_patches_fill(&s->patches, dy, begin, count, task->desk + s->patches_at);
        rows = task->desk + s->patches_at;
    }
    for (int64_t i = 0; i < count; i++)
        pixel[i] = rows + i * pixel_bytes + channel * dtype_size(out.dtype);
    if (count % 2)
        pixel[count] = zeros;
    pack(s, pixel, out.dtype, count, 0, at_most(s->rows, out.shape.c - channel), s->rows,
         (float *)(void *)(task->desk + s->y_at));
    convolution_weights_panel(s->products.input[0].shape.c, s->panels, task->column * s->group,
                              &start);
    for (int64_t t = 0; t < s->taps; t++)
        if (find_pixels(s, x, begin, count, t, start, pixel))
            multiply_tap(s, task, pixel, count, task->sums + t * (s->chunk_floats / s->taps));
}

void convolution_weights_sum(const struct convolution_weights *s, const void *x, const void *dy,
                             const struct convolution_weights_task *task)
{
    for (int64_t i = task->begin; i < task->end; i += WEIGHTS_BLOCK)
        sum_block(s, x, dy, task, i, at_most(WEIGHTS_BLOCK, task->end - i));
}
