/* The decoders behind image.h, and what they share. */
#ifndef OCTPIPE_SCANS_IMAGE_FORMATS_H
#define OCTPIPE_SCANS_IMAGE_FORMATS_H

#include "lib/scans/image.h"

#include <stdio.h>

struct image_source {
    const char *path;
    FILE *file; /* at its start */
    int64_t file_bytes;
    struct image_settings settings;
};

/* Describe the picture, and where samples is given check that it is still the one described, and
 * decode it. */
typedef int image_decoder(const struct image_source *source, struct image *image, void *samples,
                          struct error *error);
image_decoder image_png, image_jpeg, image_bmp, image_tiff;

/* The step after the header: store `found` in `image`, or compare the two when there are samples to
 * fill. Refuses absurd sizes: decoding needs pixel_bytes a pixel, and a file cannot hold more than
 * pixels_per_byte pixels a byte. */
int image_accept(const struct image_source *source, const struct image *found, int64_t pixel_bytes,
                 int64_t pixels_per_byte, struct image *image, bool compare, struct error *error);

/* Row `row` of interleaved pixels of 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA) samples u1 or
 * u2 to gray ones. */
int image_gray(const void *pixels, int channels, const struct image *image, int64_t row, void *gray,
               struct error *error);

#endif
