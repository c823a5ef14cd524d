/* Multi-page TIFF files as volumes (D,H,W): a page is a slice, read and written one by one. */
#ifndef OCTPIPE_IO_TIFF_H
#define OCTPIPE_IO_TIFF_H

#include "lib/io/array.h"

/* How stored samples become a volume. Neither: 8-bit samples are a u1 volume as they are, 16-bit
 * ones span their type's range to [−1,1] in f4, float ones must lie in [−1,1]. Min-is-white pages
 * are inverted, but for labels. */
struct tiff_mapping {
    bool labels;      /* 8-bit samples, palette indices too, are labels */
    bool stored;      /* samples of other types stay as they are too, as an array without a kind;
                         but not those of a file that tiff_writer made */
    bool range;       /* low … high to [−1,1] in f4, clamped */
    double low, high; /* low < high */
};

struct tiff_reader;

/* Open a TIFF or BigTIFF ("-": stdin, when it can be sought) and check every page: grayscale or
 * RGB, whose three samples must be equal when they are read; one size and type of 8- or 16-bit
 * unsigned, 16-bit signed or 32-bit float samples. ImageJ's description gives frames (volumes one
 * after another) and spacing, and makes one directory with many images, its layout beyond 4 GB,
 * readable. A page must need at most `limit` bytes (0: half of the machine's memory). `mapping` is
 * copied. */
int tiff_reader_open(struct tiff_reader **reader, const char *path,
                     const struct tiff_mapping *mapping, int64_t limit, struct error *error);

/* The volumes in the file, and what each of them is: type (u1 or f4 unless `stored`), kind, spacing
 * and, in a file that tiff_writer made, original, index, of and history. */
int64_t tiff_reader_volumes(const struct tiff_reader *reader);
const struct array *tiff_reader_array(const struct tiff_reader *reader);

/* Read the next slice (H,W), volume after volume, in the array's dtype. */
int tiff_reader_read(struct tiff_reader *reader, void *slice, struct error *error);

void tiff_reader_close(struct tiff_reader *reader); /* NULL is fine */

enum tiff_compression {
    TIFF_NONE,
    TIFF_LZW,
    TIFF_DEFLATE,
    TIFF_PACKBITS,
    TIFF_ZSTD,
    TIFF_COMPRESSIONS,
};
extern const char *const tiff_compressions[TIFF_COMPRESSIONS + 1]; /* "none", "lzw", … NULL */

struct tiff_writer;

/* Begin a TIFF of a volume (D,H,W), u1 or f4 in [−1,1], under a temporary name beside `path`, a
 * BigTIFF when it may pass 4 GB. `type` is that of the samples: DTYPE_U8, DTYPE_U16 (255 and 65535
 * stand for 1) or DTYPE_F32; labels stay u1. With `crop` only the part before padding
 * (array.original) is stored. A compression that libtiff lacks is refused. */
int tiff_writer_open(struct tiff_writer **writer, const char *path, const struct array *volume,
                     enum dtype type, enum tiff_compression compression, bool crop,
                     struct error *error);

/* Write the next slice (H,W) in the volume's dtype. NaN is refused. */
int tiff_writer_write(struct tiff_writer *writer, const void *slice, struct error *error);

/* Voxels so far that lay outside [−1,1] and were clamped. */
int64_t tiff_writer_clamped(const struct tiff_writer *writer);

/* After the D-th slice: finish the file and give it its name. The writer is gone afterwards. */
int tiff_writer_close(struct tiff_writer *writer, const char *path, struct error *error);

void tiff_writer_abort(struct tiff_writer *writer); /* remove the file; NULL is fine */

#endif
