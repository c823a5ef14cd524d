/* What the TIFF reader and writer share: libtiff's messages and the ImageDescription. */
#ifndef OCTPIPE_IO_TIFF_COMMON_H
#define OCTPIPE_IO_TIFF_COMMON_H

#include "lib/io/array.h"

/* Keep libtiff's messages off stderr; tiff_reason is its last error, "" when there was none since
 * tiff_quiet. */
void tiff_quiet(void);
const char *tiff_reason(void);

/* What a description says; zeros where it says nothing. */
struct tiff_description {
    int64_t images, channels, slices, frames;
    struct array
        metadata; /* spacing, and from an octpipe line kind, original, index, of, history */
};

/* Read an ImageDescription (NULL is none). resolution: pixels a length unit along H and W, 0 when
 * not said; centimetres: that unit is 1 cm; else it is the description's. */
void tiff_description_parse(struct tiff_description *description, const char *text,
                            const double resolution[2], bool centimetres);

/* ImageJ's description of `volume` with `slices` pages, and the octpipe metadata in a line that
 * ImageJ ignores. Spacing is in millimetres. The caller frees it; NULL when memory is out. */
char *tiff_description_format(const struct array *volume, int64_t slices);

#endif
