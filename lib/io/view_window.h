/* Which values of a picture are black and white. */
#ifndef OCTPIPE_IO_VIEW_WINDOW_H
#define OCTPIPE_IO_VIEW_WINDOW_H

#include "lib/io/view_layout.h"

enum window_choice {
    WINDOW_FIXED,      /* the same for all tiles */
    WINDOW_HIGHEST,    /* 0 to the highest value of all tiles */
    WINDOW_PERCENTILE, /* 1st to 99th percentile of the tiles that share a window number */
};

/* The window of tile number `tile`; `fixed` is that of WINDOW_FIXED. */
int window_find(struct window *window, enum window_choice choice, struct window fixed,
                const struct view_layout *layout, int tile, struct error *error);

#endif
