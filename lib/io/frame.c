#include "lib/io/frame.h"

#include <stddef.h>
#include <string.h>

void frame_fill(void *to, int64_t count, const void *value, int64_t size)
{
    unsigned char *target = to;
    for (int64_t i = 0; i < count; i++)
        memcpy(target + i * size, value, (size_t)size);
}

void frame_pad(const void *from, int64_t planes, int64_t h, int64_t w, void *to, int64_t to_h,
               int64_t to_w, const void *value, int64_t size)
{
    const unsigned char *source = from;
    unsigned char *target = to;
    int64_t row = w * size, to_row = to_w * size;
    for (int64_t plane = 0; plane < planes; plane++) {
        for (int64_t y = 0; y < h; y++, source += row, target += to_row) {
            memcpy(target, source, (size_t)row);
            frame_fill(target + row, to_w - w, value ? value : source + row - size, size);
        }
        for (int64_t y = h; y < to_h; y++, target += to_row) {
            if (value)
                frame_fill(target, to_w, value, size);
            else
                memcpy(target, target - to_row, (size_t)to_row);
        }
    }
}

void frame_crop(const void *from, int64_t planes, int64_t h, int64_t w, int64_t top, int64_t left,
                void *to, int64_t to_h, int64_t to_w, int64_t size)
{
    const unsigned char *source = from;
    unsigned char *target = to;
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t y = 0; y < to_h; y++, target += to_w * size)
            memcpy(target, source + ((plane * h + top + y) * w + left) * size,
                   (size_t)(to_w * size));
}

void frame_flip(const void *from, int64_t planes, int64_t h, int64_t w, bool rows, bool columns,
                void *to, int64_t size)
{
    const unsigned char *source = from;
    unsigned char *target = to;
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t y = 0; y < h; y++) {
            const unsigned char *row = source + (plane * h + (rows ? h - 1 - y : y)) * w * size;
            for (int64_t x = 0; x < w; x++, target += size)
                memcpy(target, row + (columns ? w - 1 - x : x) * size, (size_t)size);
        }
}
