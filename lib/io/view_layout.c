#include "lib/io/view_layout.h"

#include <math.h>
#include <stdlib.h>

enum {
    TILES_AT_MOST = 4096,
    SIDE_AT_MOST = 2048, /* pixels that a tile may grow to by its voxels' sides */
};

static int make_room(struct view_layout *layout, int64_t channels, int64_t count,
                     struct error *error)
{
    int64_t tiles;
    if (__builtin_mul_overflow(channels, count, &tiles) || tiles > TILES_AT_MOST)
        return error_set(error, "%lld times %lld planes; a picture shows at most %d",
                         (long long)channels, (long long)count, TILES_AT_MOST);
    layout->tile = calloc((size_t)tiles, sizeof *layout->tile);
    return layout->tile ? 0 : error_set(error, "out of memory");
}

static int add_tile(struct view_layout *layout, struct tile tile, struct error *error)
{
    tile.value = calloc((size_t)(tile.rows * tile.columns), sizeof *tile.value);
    if (!tile.value)
        return error_set(error, "no memory for a plane of %lldx%lld", (long long)tile.rows,
                         (long long)tile.columns);
    layout->tile[layout->tiles++] = tile;
    return 0;
}

void layout_free(struct view_layout *layout)
{
    for (int i = 0; i < layout->tiles; i++) {
        free(layout->tile[i].value);
        free(layout->tile[i].label);
    }
    free(layout->tile);
}

/* A pixel is as large as the smallest voxel side, unless a tile would grow out of hand. */
static int finish(struct view_layout *layout)
{
    double side = INFINITY, longest = 0;
    int64_t most = SIDE_AT_MOST;
    for (int i = 0; i < layout->tiles; i++) {
        const struct tile *tile = &layout->tile[i];
        side = fmin(side, fmin(tile->height, tile->width));
        longest = fmax(longest, (double)tile->rows * tile->height);
        longest = fmax(longest, (double)tile->columns * tile->width);
        most = tile->rows > most ? tile->rows : most;
        most = tile->columns > most ? tile->columns : most;
    }
    layout->unit = fmax(side, longest / (double)most);
    return 0;
}

int layout_slices(struct view_layout *layout, const struct extent *extent, const double side[3],
                  int64_t count, struct error *error)
{
    if (count > extent->d)
        count = extent->d;
    if (make_room(layout, extent->c, count, error) < 0)
        return -1;
    int64_t across = extent->c > 1 ? count : (int64_t)ceil(sqrt((double)count));
    for (int64_t i = 0; i < extent->c * count; i++) {
        int64_t slice = i % count;
        struct tile tile = {.plane = TILE_SLICE,
                            .index = (2 * slice + 1) * extent->d / (2 * count),
                            .channel = i / count,
                            .rows = extent->h,
                            .columns = extent->w,
                            .height = side[1],
                            .width = side[2],
                            .grid_row = (int)(i / across),
                            .grid_column = (int)(i % across),
                            .window = (int)(i / count)};
        if (add_tile(layout, tile, error) < 0)
            return -1;
    }
    return finish(layout);
}

int layout_surfaces(struct view_layout *layout, const struct extent *extent, const double side[3],
                    struct error *error)
{
    const double side_of_maps[3] = {0, side[0], side[2]};
    if (layout_slices(layout, extent, side_of_maps, extent->d, error) < 0)
        return -1;
    for (int i = 0; i < layout->tiles; i++)
        layout->tile[i].window = i;
    return 0;
}

int layout_cuts(struct view_layout *layout, const struct extent *extent, const double side[3],
                const int64_t *at, struct error *error)
{
    const int64_t shape[3] = {extent->d, extent->h, extent->w};
    const int64_t centre[3] = {shape[0] / 2, shape[1] / 2, shape[2] / 2};
    if (!at)
        at = centre;
    for (int axis = 0; axis < 3; axis++)
        if (at[axis] < 0 || at[axis] >= shape[axis])
            return error_set(error, "voxel %lld,%lld,%lld is outside of (%lld, %lld, %lld)",
                             (long long)at[0], (long long)at[1], (long long)at[2],
                             (long long)shape[0], (long long)shape[1], (long long)shape[2]);
    static const struct {
        enum tile_plane plane;
        int across, down, right; /* its axes, and the one it is cut at */
        int grid_row, grid_column;
    } cut[3] = {
        {TILE_SLICE, 0, 1, 2, 0, 0},
        {TILE_COLUMN, 2, 1, 0, 0, 1},
        {TILE_ROW, 1, 0, 2, 1, 0},
    };
    if (make_room(layout, 1, 3, error) < 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        struct tile tile = {.plane = cut[i].plane,
                            .index = at[cut[i].across],
                            .rows = shape[cut[i].down],
                            .columns = shape[cut[i].right],
                            .height = side[cut[i].down],
                            .width = side[cut[i].right],
                            .grid_row = cut[i].grid_row,
                            .grid_column = cut[i].grid_column};
        if (add_tile(layout, tile, error) < 0)
            return -1;
    }
    return finish(layout);
}

int layout_en_face(struct view_layout *layout, const struct extent *extent, const double side[3],
                   struct error *error)
{
    struct tile tile = {.plane = TILE_MEAN,
                        .rows = extent->d,
                        .columns = extent->w,
                        .height = side[0],
                        .width = side[2]};
    if (make_room(layout, 1, 1, error) < 0 || add_tile(layout, tile, error) < 0)
        return -1;
    return finish(layout);
}

int layout_add_labels(struct view_layout *layout, struct error *error)
{
    for (int i = 0; i < layout->tiles; i++) {
        struct tile *tile = &layout->tile[i];
        tile->label = calloc((size_t)(tile->rows * tile->columns), sizeof *tile->label);
        if (!tile->label)
            return error_set(error, "out of memory");
    }
    return 0;
}
