#include "kernels/cpu/convolution.h"

#include <string.h>

static int64_t clamp(int64_t i, int64_t extent)
{
    return i < 0 ? 0 : i >= extent ? extent - 1 : i;
}

/* One row of the gathered map from one row of the input, without space-to-depth: the inside is
 * one copy, the ends repeat the first and last pixel. */
static void gather_row(const struct convolution_state *s, int phase, const char *source,
                       int64_t pixel, char *to)
{
    int64_t width = s->operation.input[0].shape.w, extent = s->gathered_extent[AXIS_W];
    int64_t first = s->start[phase][AXIS_W] - s->operation.convolution.pad_front[AXIS_W];
    int64_t x = 0;
    for (; x < extent && first + x < 0; x++)
        memcpy(to + x * pixel, source, (size_t)pixel);
    int64_t inside = width - (first + x) < extent - x ? width - (first + x) : extent - x;
    if (inside > 0) {
        memcpy(to + x * pixel, source + (first + x) * pixel, (size_t)(inside * pixel));
        x += inside;
    }
    for (; x < extent; x++)
        memcpy(to + x * pixel, source + (width - 1) * pixel, (size_t)pixel);
}

/* One row with space-to-depth: the pixels (fd, fh, fw) of a block stand one after another. */
static void gather_blocks(const struct convolution_state *s, const char *sample, int64_t pixel,
                          int64_t z, int64_t y, char *to)
{
    const struct convolution *c = &s->operation.convolution;
    const int *f = s->factor;
    struct shape in = s->operation.input[0].shape;
    for (int64_t x = 0; x < s->gathered_extent[AXIS_W]; x++)
        for (int fd = 0; fd < f[AXIS_D]; fd++)
            for (int fh = 0; fh < f[AXIS_H]; fh++)
                for (int fw = 0; fw < f[AXIS_W]; fw++, to += pixel) {
                    int64_t iz = clamp(z * f[AXIS_D] + fd - c->pad_front[AXIS_D], in.d);
                    int64_t iy = clamp(y * f[AXIS_H] + fh - c->pad_front[AXIS_H], in.h);
                    int64_t ix = clamp(x * f[AXIS_W] + fw - c->pad_front[AXIS_W], in.w);
                    memcpy(to, sample + ((iz * in.h + iy) * in.w + ix) * pixel, (size_t)pixel);
                }
}

void convolution_gather(const struct convolution_state *s, int phase, const void *sample,
                        int64_t row, int64_t rows, void *gathered)
{
    const struct convolution *c = &s->operation.convolution;
    struct shape in = s->operation.input[0].shape;
    int64_t pixel = in.c * dtype_size(s->operation.input[0].dtype);
    int64_t depth = convolution_depth(s, rows), height = s->gathered_extent[AXIS_H];
    int64_t row_bytes = s->gathered_extent[AXIS_W] * convolution_channels(s) *
                        dtype_size(s->operation.input[0].dtype);
    bool blocks = s->factor[AXIS_D] * s->factor[AXIS_H] * s->factor[AXIS_W] > 1;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < depth * height; i++) {
        int64_t z = row * s->step[AXIS_D] + i / height, y = i % height;
        char *to = (char *)gathered + i * row_bytes;
        if (blocks) {
            gather_blocks(s, sample, pixel, z, y, to);
            continue;
        }
        int64_t iz = clamp(z + s->start[phase][AXIS_D] - c->pad_front[AXIS_D], in.d);
        int64_t iy = clamp(y + s->start[phase][AXIS_H] - c->pad_front[AXIS_H], in.h);
        gather_row(s, phase, (const char *)sample + (iz * in.h + iy) * in.w * pixel, pixel, to);
    }
}
