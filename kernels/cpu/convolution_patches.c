#include "kernels/cpu/convolution_patches.h"

#include <string.h>

int convolution_patches_create(struct convolution_patches *p, const struct operation *of)
{
    p->of = *of;
    p->numbers = convolution_taps(&of->convolution) * of->input[0].shape.c;
    return convolution_map_create(&p->map, of);
}

void convolution_patches_destroy(struct convolution_patches *p)
{
    convolution_map_destroy(&p->map);
}

/* Pixels of a row of the input (NULL: zeros), `bytes` each, every `step` bytes. */
static void copy_pixels(const char *row, const int32_t *source, int64_t count, int64_t bytes,
                        char *to, int64_t step)
{
    for (int64_t i = 0; i < count; i++, to += step) {
        const char *from = row && source[i] >= 0 ? row + source[i] * bytes : NULL;
        if (!from)
            memset(to, 0, (size_t)bytes);
        else if (bytes == 2)
            memcpy(to, from, 2);
        else if (bytes == 4)
            memcpy(to, from, 4);
        else
            memcpy(to, from, (size_t)bytes);
    }
}

void convolution_patches_fill(const struct convolution_patches *p, const void *input, int64_t begin,
                              int64_t count, void *to)
{
    struct shape in = p->of.input[0].shape, out = p->of.output.shape;
    const struct convolution_axis *d = &p->map.axis[AXIS_D], *h = &p->map.axis[AXIS_H],
                                  *w = &p->map.axis[AXIS_W];
    int64_t size = dtype_size(p->of.input[0].dtype), bytes = in.c * size, run;
    int64_t taps = p->numbers / in.c, step = p->numbers * size;
    for (int64_t i = begin; i < begin + count; i += run) {
        int64_t x = i % out.w, y = i / out.w % out.h, z = i / out.w / out.h % out.d;
        int64_t n = i / out.w / out.h / out.d, rest = begin + count - i;
        run = out.w - x < rest ? out.w - x : rest;
        for (int64_t t = 0; t < taps; t++) {
            int64_t tap[AXES];
            convolution_tap(&p->of.convolution, t, tap);
            int64_t slice = d->source[tap[AXIS_D] * d->out + z];
            int64_t row = h->source[tap[AXIS_H] * h->out + y];
            const char *from =
                (const char *)input + ((n * in.d + slice) * in.h + row) * in.w * bytes;
            copy_pixels(slice < 0 || row < 0 ? NULL : from, w->source + tap[AXIS_W] * w->out + x,
                        run, bytes, (char *)to + (i - begin) * step + t * bytes, step);
        }
    }
}
