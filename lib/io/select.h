/* Parts of an array along one axis, as Python's slices name them. */
#ifndef OCTPIPE_IO_SELECT_H
#define OCTPIPE_IO_SELECT_H

#include "lib/core/error.h"

#include <stdint.h>

struct range {
    int64_t first, step, count;
};

/* Read "a:b", "a:b:step" (parts may be missing) or "a" (one element) for an axis of `extent`
 * elements. Negative indices count from the end; bounds beyond the axis are cut to it; the step is
 * at least 1. A range without elements is refused. */
int range_parse(const char *text, int64_t extent, struct range *range, struct error *error);

/* Copy a range of the middle axis of from (outer, extent, inner bytes) to (outer, count, inner). */
void select_range(const void *from, int64_t outer, int64_t extent, int64_t inner,
                  const struct range *range, void *to);

#endif
