/* NIfTI files being written, slice by slice. */
#ifndef OCTPIPE_SCANS_NIFTI_WRITE_H
#define OCTPIPE_SCANS_NIFTI_WRITE_H

#include "lib/io/array.h"

struct nifti_writer;

/* Begin a NIfTI-1 file of a volume (D,H,W) of any type with a NIfTI equivalent, NIfTI-2 when an
 * extent passes 32767, under a temporary name beside `path`; compressed when path ends in .gz.
 * Spacing goes into pixdim in millimetres; no orientation is claimed. */
int nifti_writer_open(struct nifti_writer **writer, const char *path, const struct array *volume,
                      struct error *error);
int nifti_writer_write(struct nifti_writer *writer, const void *slice, struct error *error);

/* After the D-th slice: finish the file and give it its name, `path`, in the same folder. The
 * writer is gone afterwards. */
int nifti_writer_close(struct nifti_writer *writer, const char *path, struct error *error);

#endif
