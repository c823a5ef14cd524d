/* What the filters that resize volumes share. */
#ifndef OCTPIPE_IO_RESIZE_FILTER_H
#define OCTPIPE_IO_RESIZE_FILTER_H

#include "lib/io/filter.h"
#include "lib/io/resize.h"

extern const char *const resize_methods[]; /* names in the order of enum resize_method */

/* End the program unless the array is a volume, or labels where the method takes nearest
 * neighbours. */
void resize_filter_expect(struct filter *filter, enum resize_method method, const struct array *in);

/* Read that array, and write it with the extents of `size`. */
void resize_filter(struct filter *filter, enum resize_method method, const struct array *in,
                   const struct resize_size *size);

#endif
