/* Training data: the arrays of NPY files, memory-mapped, so that only what a step needs is read.
 *
 * Files hold arrays as the stream does (docs/stream.md): marked ones, whose checksums are verified
 * when the file is opened, or bare ones. */
#ifndef OCTPIPE_TRAINING_DATASET_H
#define OCTPIPE_TRAINING_DATASET_H

#include "lib/io/array.h"

struct dataset_array {
    struct array array;
    const char *path;  /* the caller's */
    const void *data;  /* the payload, in the mapped file; may lie at any address */
    uint32_t checksum; /* CRC-32C of the payload */
};

struct dataset_map;

struct dataset {
    int64_t count;
    struct dataset_array *list;
    int maps;
    struct dataset_map *map;
};

/* Map the files and find their arrays. Anything but latents (D,C,H,W) f4 with `channels` > 0, or
 * volumes (D,H,W) u1 or f4 with channels 0, is refused. The paths stay the caller's. */
int dataset_open(struct dataset *dataset, const char *const *paths, int count, int64_t channels,
                 struct error *error);
void dataset_close(struct dataset *dataset); /* {0} is fine */

/* Slices of arrays first … first + count − 1 together, and the array and slice that is number n
 * among them. */
int64_t dataset_slices(const struct dataset *dataset, int64_t first, int64_t count);
void dataset_locate(const struct dataset *dataset, int64_t first, int64_t n, int64_t *array,
                    int64_t *slice);

/* The slices of a latent as they are. */
void dataset_read(const struct dataset_array *array, int64_t slice, int64_t slices, float *out);

/* A box of a volume, in [−1,1] (MODEL.md "The path of the data"), from `from` on; an axis that is
 * flipped is read backwards. Axes are D, H, W. */
struct dataset_box {
    int64_t from[3], size[3];
    bool flip[3];
};
void dataset_read_box(const struct dataset_array *array, const struct dataset_box *box, float *out);

/* Standard deviation and largest absolute value of the latents first … first + count − 1. Values
 * that are not finite are an error that names the file. */
int dataset_measure(const struct dataset *dataset, int64_t first, int64_t count, double *deviation,
                    double *largest, struct error *error);

#endif
