/* A volume as one HTML page that needs no network: three linked cuts, the mean over H, and what the
 * stream says of it. Slices are PNG pictures inside the page (lib/io/page.js decodes them). */
#ifndef OCTPIPE_IO_PAGE_H
#define OCTPIPE_IO_PAGE_H

#include "lib/io/array.h"
#include "lib/io/window.h"

struct page_settings {
    const char *title;
    struct window window; /* what becomes gray 0 and 255; the page can only narrow it */
    int64_t most;         /* voxels along an axis: longer ones are averaged in blocks */
    const char *overlay;  /* kind of what is drawn over it, "labels" or "surfaces"; NULL: nothing */
    double opacity;       /* of that, at first */
};

struct page;

/* Open a page for a volume (D,H,W). Reasons name the output. */
int page_open(struct page **page, const char *path, const struct array *volume,
              const struct page_settings *settings, struct error *error);

/* Add the next slice (H,W), values of the volume's dtype as f32; and with an overlay its labels
 * (H,W): a voxel of the page has the highest label of those that it covers. */
int page_add(struct page *page, const float *slice, const uint8_t *label, struct error *error);

/* Finish the page, and give it its name where the one it was opened with was not final. NULL for
 * path: stdout. The page is gone afterwards, also on an error. */
int page_close(struct page *page, const char *path, struct error *error);

#endif
