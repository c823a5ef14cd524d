/* The nearest volume of one set for each volume of another: does a model only repeat what it has
 * seen?
 *
 * The distance is the root mean square difference in units of the full range (0…255 is 1) of
 * volumes made smaller by area means (lib/io/resize.h). At full resolution speckle, which no two
 * volumes share, outweighs anatomy. */
#ifndef OCTPIPE_METRICS_NEAREST_H
#define OCTPIPE_METRICS_NEAREST_H

#include "lib/io/array.h"

struct nearest {
    int64_t values; /* of a small volume */
    int64_t count;
    struct nearest_volume {
        float *small; /* (values), intensities 0…255 */
        double distance;
        int64_t match; /* index of the nearest so far; −1 */
        char *input;   /* the file it is in */
    } * volume;
};

/* Add a volume whose nearest one is looked for, and take over its small one. Fails only when memory
 * is out; small is freed then. */
int nearest_add(struct nearest *nearest, float *small, struct error *error);

/* Compare all volumes added with one of the other set. */
int nearest_compare(struct nearest *nearest, const float *small, int64_t index, const char *input,
                    struct error *error);

void nearest_close(struct nearest *nearest); /* {0} is fine */

#endif
