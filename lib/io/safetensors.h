/* safetensors files: memory-mapped reading, checked; and writing.
 * Layout: u64 header length, JSON header {name: {dtype, shape, data_offsets}, __metadata__}, data.
 * The reasons that these functions give name the path: "path: reason", "writing path: reason". */
#ifndef OCTPIPE_IO_SAFETENSORS_H
#define OCTPIPE_IO_SAFETENSORS_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

#include <stdbool.h>

enum { SAFETENSORS_RANK = 8 };

struct safetensor {
    const char *name;
    enum dtype dtype;
    int rank;
    int64_t shape[SAFETENSORS_RANK];
    const void *data; /* in the mapped file (reading), the caller's (writing) */
    int64_t bytes;
};

struct safetensors {
    char *path; /* a copy */
    int64_t count;
    struct safetensor *tensor; /* sorted by name */
    int64_t metadata_count;
    char **metadata_key, **metadata_value;
    void *map;
    int64_t map_bytes;
    void *realigned; /* copies of the tensors that do not lie at a multiple of their element size */
    struct cJSON *json;
};

/* Map and check a file: truncated data, overlapping or misfitting offsets, unknown dtypes and
 * overflowing shapes are refused. `file` needs no initialization; after an error there is nothing
 * to close. Names, data and metadata live until safetensors_close. */
int safetensors_open(struct safetensors *file, const char *path, struct error *error);
void safetensors_close(struct safetensors *file);

/* The tensor of that name, the value of that metadata key; NULL when the file has none. */
const struct safetensor *safetensors_find(const struct safetensors *file, const char *name);
const char *safetensors_metadata(const struct safetensors *file, const char *key);

/* Writing by parts, so that files larger than memory can be made: begin with all descriptions
 * (data and bytes ignored; bytes follow from shape and dtype), then each tensor's data in that
 * order, in pieces of any size, then finish (rename). metadata: NULL-terminated key, value, key,
 * value …; or NULL. A regular file is written under a temporary name beside it; devices, FIFOs
 * and "-" (stdout) are written in place. Put wide types before narrow ones: the format has no
 * padding between tensors. After an error of open or close there is nothing to abort; after one of
 * write there is. */
struct safetensors_writer;
int safetensors_writer_open(struct safetensors_writer **writer, const char *path,
                            const struct safetensor *tensor, int64_t count,
                            const char *const *metadata, struct error *error);
int safetensors_writer_write(struct safetensors_writer *writer, const void *data, int64_t bytes,
                             struct error *error);
int safetensors_writer_close(struct safetensors_writer *writer, struct error *error);
void safetensors_writer_abort(struct safetensors_writer *writer); /* NULL is fine */

/* The name that the format gives a dtype, "F32". */
const char *safetensors_dtype_name(enum dtype dtype);

#endif
