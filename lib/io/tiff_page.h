/* One page of a TIFF: what it must share with the others, and its samples. */
#ifndef OCTPIPE_IO_TIFF_PAGE_H
#define OCTPIPE_IO_TIFF_PAGE_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

#include <stdbool.h>
#include <tiffio.h>

struct tiff_page {
    uint32_t rows, columns;
    enum dtype sample; /* DTYPE_U8, DTYPE_U16, DTYPE_I16 or DTYPE_F32 */
    uint16_t photometric;
    int colours; /* samples a pixel: 1, or 3 that are equal in each */
    bool planes; /* the three lie one behind another, not side by side */
};

/* Describe the page (directory) that libtiff stands at. Refused: no size, colours other than RGB,
 * alpha, samples that are not read (anything but u8 for labels), compressions that libtiff lacks,
 * and pages or tiles that need more than `limit` bytes. */
int tiff_page_describe(TIFF *tiff, bool labels, int64_t limit, struct tiff_page *page,
                       struct error *error);

bool tiff_page_equal(const struct tiff_page *a, const struct tiff_page *b);

/* Bytes of its samples (rows, columns). */
int64_t tiff_page_bytes(const struct tiff_page *page);

/* Read the samples (rows, columns) of the page that libtiff stands at, strips or tiles. Of RGB the
 * one that all three are; a pixel where they are not is refused. */
int tiff_page_read(TIFF *tiff, const struct tiff_page *page, void *samples, struct error *error);

#endif
