/* Pictures of validation: a grid of maps. */
#ifndef OCTPIPE_TRAINING_TRAIN_PICTURE_H
#define OCTPIPE_TRAINING_TRAIN_PICTURE_H

#include "lib/io/view.h"

/* maps (rows, columns, h, w). low[k] … high[k] of column k are black … white. Small maps are
 * enlarged. */
struct train_picture {
    int64_t rows, columns, h, w;
    const float *maps;
    const double *low, *high;
};
int train_picture_draw(const struct train_picture *maps, struct picture *picture,
                       struct error *error);

/* The smallest and largest of count values, so that low < high. */
void train_picture_range(const float *values, int64_t count, double *low, double *high);

#endif
