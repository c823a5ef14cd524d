#include "lib/io/view_tile.h"

#include <math.h>
#include <string.h>

static void gather_mean(float *out, const struct extent *extent, const float *slice)
{
    for (int64_t x = 0; x < extent->w; x++) {
        double sum = 0;
        for (int64_t y = 0; y < extent->h; y++)
            sum += (double)slice[y * extent->w + x];
        out[x] = (float)(sum / (double)extent->h);
    }
}

void tile_gather(struct tile *tile, const struct extent *extent, const float *slice, int64_t d)
{
    int64_t h = extent->h, w = extent->w;
    size_t row_bytes = (size_t)w * sizeof *slice;
    switch (tile->plane) {
    case TILE_SLICE:
        if (d == tile->index)
            memcpy(tile->value, slice + tile->channel * h * w, (size_t)h * row_bytes);
        break;
    case TILE_ROW:
        memcpy(tile->value + d * w, slice + tile->index * w, row_bytes);
        break;
    case TILE_COLUMN:
        for (int64_t y = 0; y < h; y++)
            tile->value[y * tile->columns + d] = slice[y * w + tile->index];
        break;
    case TILE_MEAN:
        gather_mean(tile->value + d * w, extent, slice);
        break;
    }
}

static int64_t pixels(double length, double unit)
{
    int64_t count = llround(length / unit);
    return count > 0 ? count : 1;
}

int64_t tile_height(const struct tile *tile, double unit)
{
    return pixels((double)tile->rows * tile->height, unit);
}

int64_t tile_width(const struct tile *tile, double unit)
{
    return pixels((double)tile->columns * tile->width, unit);
}

/* Where pixel `at` of `count` falls among `extent` voxels: between voxel first and the next one. */
struct place {
    int64_t first, next;
    double weight; /* of the next one */
};

static struct place find_place(int64_t at, int64_t count, int64_t extent, bool nearest)
{
    double position = ((double)at + 0.5) * (double)extent / (double)count - 0.5;
    if (nearest)
        position = floor(position + 0.5);
    double last = (double)(extent - 1);
    position = position < 0 ? 0 : position > last ? last : position;
    struct place place = {.first = (int64_t)position};
    place.weight = position - (double)place.first;
    place.next = place.weight > 0 ? place.first + 1 : place.first;
    return place;
}

void tile_draw(const struct tile *tile, double unit, struct window window, bool nearest,
               struct picture *picture, int64_t top, int64_t left)
{
    int64_t height = tile_height(tile, unit), width = tile_width(tile, unit);
    for (int64_t y = 0; y < height; y++) {
        struct place row = find_place(y, height, tile->rows, nearest);
        const float *above = tile->value + row.first * tile->columns;
        const float *below = tile->value + row.next * tile->columns;
        uint8_t *out = picture->gray + (top + y) * picture->columns + left;
        for (int64_t x = 0; x < width; x++) {
            struct place column = find_place(x, width, tile->columns, nearest);
            double a = (double)above[column.first], b = (double)below[column.first];
            a += column.weight * ((double)above[column.next] - a);
            b += column.weight * ((double)below[column.next] - b);
            out[x] = window_gray(a + row.weight * (b - a), window);
        }
    }
}
