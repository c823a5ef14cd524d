#include "lib/training/train_picture.h"

#include "lib/io/view_tile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 4, GAP_GRAY = 96, SIDE = 128 /* pixels, at least about */ };

int train_picture_draw(const struct train_picture *m, struct picture *picture, struct error *error)
{
    int64_t scale = m->w < SIDE ? SIDE / m->w : 1;
    int64_t height = m->h * scale + GAP, width = m->w * scale + GAP;
    *picture =
        (struct picture){.rows = m->rows * height - GAP, .columns = m->columns * width - GAP};
    picture->gray = malloc((size_t)(picture->rows * picture->columns));
    if (!picture->gray)
        return error_set(error, "no memory for a picture");
    memset(picture->gray, GAP_GRAY, (size_t)(picture->rows * picture->columns));
    for (int64_t i = 0; i < m->rows * m->columns; i++) {
        int64_t row = i / m->columns, column = i % m->columns;
        struct tile tile = {.rows = m->h,
                            .columns = m->w,
                            .value = (float *)(uintptr_t)m->maps + i * m->h * m->w,
                            .height = 1,
                            .width = 1};
        const struct tile_look look = {.window = {m->low[column], m->high[column]},
                                       .nearest = true};
        tile_draw(&tile, 1.0 / (double)scale, &look, picture, row * height, column * width);
    }
    return 0;
}

void train_picture_range(const float *values, int64_t count, double *low, double *high)
{
    *low = *high = (double)values[0];
    for (int64_t i = 1; i < count; i++) {
        *low = fmin(*low, (double)values[i]);
        *high = fmax(*high, (double)values[i]);
    }
    if (*low == *high)
        *high = *low + 1.0;
}
