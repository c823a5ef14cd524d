/* Which planes of a tensor a picture shows, and where. */
#ifndef OCTPIPE_IO_VIEW_LAYOUT_H
#define OCTPIPE_IO_VIEW_LAYOUT_H

#include "lib/io/view_tile.h"

struct view_layout {
    int tiles;
    struct tile *tile;
    double unit; /* side of a pixel; voxel sides are in the same unit */
};

/* Each makes a layout of a tensor whose voxels have `side` along D, H, W; `layout` is {0} before,
 * and layout_free frees it also after an error. */

/* `count` evenly spaced slices of every channel: a row for each channel, or one channel in a near
 * square grid. Channels have a window each. */
int layout_slices(struct view_layout *layout, const struct extent *extent, const double side[3],
                  int64_t count, struct error *error);

/* The maps (D,W) of all surfaces of (S,D,W), each with its own window. */
int layout_surfaces(struct view_layout *layout, const struct extent *extent, const double side[3],
                    struct error *error);

/* (H,W) with (H,D) to its right, sharing H, and (D,W) below it, sharing W, through voxel
 * at[D, H, W], NULL: the centre. */
int layout_cuts(struct view_layout *layout, const struct extent *extent, const double side[3],
                const int64_t *at, struct error *error);

/* The mean over H. */
int layout_en_face(struct view_layout *layout, const struct extent *extent, const double side[3],
                   struct error *error);

/* Give all tiles of a layout labels. */
int layout_add_labels(struct view_layout *layout, struct error *error);

void layout_free(struct view_layout *layout);

#endif
