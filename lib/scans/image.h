/* Pictures in files as gray samples: PNG, JPEG, BMP and TIFF of one page, told apart by their first
 * bytes. A gray picture that is stored in colours (R = G = B, opaque) is gray; real
 * colours and transparency are refused. */
#ifndef OCTPIPE_SCANS_IMAGE_H
#define OCTPIPE_SCANS_IMAGE_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

#include <stdbool.h>

struct image {
    int64_t rows, columns;
    enum dtype dtype;  /* u1 or u2, of a TIFF also i2 or f4 */
    double spacing[2]; /* millimetres along rows and columns where a TIFF says so, else 0 */
};

struct image_settings {
    int64_t limit; /* bytes that decoding may take */
    bool labels;   /* palettes are not looked up: their indices are the samples */
};

enum { IMAGE_START = 4 }; /* bytes that tell the format */

/* Whether a file that starts with these bytes is a picture of a format above. */
bool image_known(const unsigned char start[IMAGE_START]);

/* Describe the picture in a file by its header. One that needs more than the limit to decode, or
 * more than its file can hold, is refused. */
int image_describe(const char *path, const struct image_settings *settings, struct image *image,
                   struct error *error);

/* Read the samples (rows, columns) of the picture that image_describe described. */
int image_read(const char *path, const struct image_settings *settings, const struct image *image,
               void *samples, struct error *error);

#endif
