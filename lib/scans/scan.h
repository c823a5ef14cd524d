/* Volumes from whatever a path names, told by its content: a folder of pictures (image.h) as
 * slices, a picture, a TIFF stack, NIfTI (.nii, .nii.gz), NPY; and raw numbers where that is asked
 * for. Slices are read one by one. */
#ifndef OCTPIPE_SCANS_SCAN_H
#define OCTPIPE_SCANS_SCAN_H

#include "lib/io/array.h"

struct scan_settings {
    int64_t limit;    /* bytes of a slice; 0: half of the machine's memory */
    bool raw;         /* a file holds the numbers of one volume and nothing else, little endian */
    int64_t shape[3]; /* of that volume (D,H,W), */
    enum dtype dtype; /* and its type */
    bool labels;      /* u1 volumes are labels; so are the indices of palettes */
};

struct scan;

/* Open a path; messages do not name it, but they do name a file in a folder. */
int scan_open(struct scan **scan, const char *path, const struct scan_settings *settings,
              struct error *error);

/* The volumes it holds, 0 when that is not known beforehand. */
int64_t scan_volumes(const struct scan *scan);

/* Advance to the next volume: 1, 0 at the end, −1. The array is (D,H,W) of the type that is
 * stored, with spacing where the file has it; kind is "volume" for u1, and "" for other types,
 * whose values have no agreed range. What octpipe wrote comes back with all its metadata. */
int scan_next(struct scan *scan, struct array *array, struct error *error);

/* Read the next slice (H,W). The last one is good only when the file behind it is. */
int scan_read(struct scan *scan, void *slice, struct error *error);

void scan_close(struct scan *scan); /* NULL is fine */

#endif
