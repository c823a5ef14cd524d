/* NIfTI files (.nii, .nii.gz): the fields of both header versions that concern a volume. Axes:
 * NIfTI's x, the fastest in memory, is W, y is H, z is D; t counts volumes. */
#ifndef OCTPIPE_SCANS_NIFTI_H
#define OCTPIPE_SCANS_NIFTI_H

#include "lib/io/array.h"

#include <stddef.h>

enum { NIFTI_HEADER = 540 }; /* of version 2; version 1 has 348 bytes */

struct nifti_header {
    int64_t extent[3];    /* D, H, W */
    int64_t volumes;      /* along t */
    enum dtype dtype;     /* as stored */
    double spacing[3];    /* millimetres along D, H, W; 0 when not said */
    double slope, offset; /* a value is stored·slope + offset; 1 and 0 when not said */
    int64_t data;         /* where the voxels start */
    bool swapped;         /* in the other byte order */
};

/* Read the header from the first `bytes` bytes of a file, NIFTI_HEADER where it has as many.
 * Refused: pairs of .hdr and .img, more axes than x, y, z, t, colours, complex and unusual types.
 * Units that are not said are taken for millimetres, as other programs do. */
int nifti_parse(struct nifti_header *header, void *start, size_t bytes, struct error *error);

#endif
