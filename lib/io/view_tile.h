/* One plane of a tensor in a picture: gathered slice by slice, then drawn. */
#ifndef OCTPIPE_IO_VIEW_TILE_H
#define OCTPIPE_IO_VIEW_TILE_H

#include "lib/io/view.h"

/* What a tile shows of a (D,C,H,W) tensor. */
enum tile_plane {
    TILE_SLICE,  /* (H,W) of slice `index`, channel `channel` */
    TILE_ROW,    /* (D,W) at row `index` */
    TILE_COLUMN, /* (H,D) at column `index` */
    TILE_MEAN,   /* (D,W), the mean over H */
};

struct tile {
    enum tile_plane plane;
    int64_t index, channel;
    int64_t rows, columns;
    float *value;           /* (rows, columns), 0 until gathered */
    uint8_t *label;         /* (rows, columns), 0: none; NULL: a gray tile */
    const float *from, *to; /* of TILE_MEAN: (D,W) rows h with from <= h < to count; NULL: all */
    double height, width;   /* of a voxel, in one unit for all tiles of a picture */
    int grid_row, grid_column;
    int window; /* tiles of one window share their grays */
};

/* Shape of the tensor as (D,C,H,W). */
struct extent {
    int64_t d, c, h, w;
};

/* Take what the tile shows of slice d (C,H,W); a mean of nothing is NaN. */
void tile_gather(struct tile *tile, const struct extent *extent, const float *slice, int64_t d);

/* Take the labels that it shows of slice d (H,W); a mean shows those of the first row. */
void tile_gather_labels(struct tile *tile, const struct extent *extent, const uint8_t *label,
                        int64_t d);

/* Size in pixels when one pixel is `unit` wide and high; at least 1. */
int64_t tile_height(const struct tile *tile, double unit);
int64_t tile_width(const struct tile *tile, double unit);

/* Resample the tile to that size, at (top, left) of the picture: low … high of the window to black
 * … white, and labels in their colours as far as they are opaque. */
struct tile_look {
    struct window window;
    bool nearest; /* else linear interpolation; labels are always those of the nearest voxel */
    double opacity;
};
void tile_draw(const struct tile *tile, double unit, const struct tile_look *look,
               struct picture *picture, int64_t top, int64_t left);

#endif
