#include "lib/io/view_tile.h"

#include "lib/io/palette.h"

#include <math.h>
#include <string.h>

static float mean(const float *value, int64_t count, int64_t stride, const float *from,
                  const float *to)
{
    double sum = 0;
    int64_t taken = 0;
    for (int64_t y = 0; y < count; y++) {
        if (from && !((double)y >= (double)*from && (double)y < (double)*to))
            continue;
        sum += (double)value[y * stride];
        taken++;
    }
    return taken ? (float)(sum / (double)taken) : NAN;
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
        for (int64_t x = 0, at = d * w; x < w; x++, at++)
            tile->value[at] = mean(slice + x, h, w, tile->from ? tile->from + at : NULL,
                                   tile->from ? tile->to + at : NULL);
        break;
    }
}

void tile_gather_labels(struct tile *tile, const struct extent *extent, const uint8_t *label,
                        int64_t d)
{
    int64_t h = extent->h, w = extent->w;
    switch (tile->plane) {
    case TILE_SLICE:
        if (d == tile->index)
            memcpy(tile->label, label, (size_t)(h * w));
        break;
    case TILE_ROW:
    case TILE_MEAN:
        memcpy(tile->label + d * w, label + tile->index * w, (size_t)w);
        break;
    case TILE_COLUMN:
        for (int64_t y = 0; y < h; y++)
            tile->label[y * tile->columns + d] = label[y * w + tile->index];
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

/* A line of the picture in colour, where its grays are known. */
static void colour_line(const struct tile *tile, int64_t row, double opacity, const uint8_t *gray,
                        uint8_t *colour, int64_t width)
{
    for (int64_t x = 0; x < width; x++) {
        struct place column = find_place(x, width, tile->columns, true);
        int label = tile->label ? tile->label[row * tile->columns + column.first] : 0;
        for (int k = 0; k < 3; k++) {
            double over = label ? opacity * (palette_colour(label)[k] - gray[x]) : 0;
            colour[3 * x + k] = (uint8_t)(gray[x] + over + 0.5);
        }
    }
}

void tile_draw(const struct tile *tile, double unit, const struct tile_look *look,
               struct picture *picture, int64_t top, int64_t left)
{
    int64_t height = tile_height(tile, unit), width = tile_width(tile, unit);
    for (int64_t y = 0; y < height; y++) {
        struct place row = find_place(y, height, tile->rows, look->nearest);
        const float *above = tile->value + row.first * tile->columns;
        const float *below = tile->value + row.next * tile->columns;
        int64_t start = (top + y) * picture->columns + left;
        for (int64_t x = 0; x < width; x++) {
            struct place column = find_place(x, width, tile->columns, look->nearest);
            double a = (double)above[column.first], b = (double)below[column.first];
            a += column.weight * ((double)above[column.next] - a);
            b += column.weight * ((double)below[column.next] - b);
            picture->gray[start + x] = window_gray(a + row.weight * (b - a), look->window);
        }
        if (picture->colour)
            colour_line(tile, find_place(y, height, tile->rows, true).first, look->opacity,
                        picture->gray + start, picture->colour + 3 * start, width);
    }
}
