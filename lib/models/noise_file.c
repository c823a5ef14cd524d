#include "lib/models/noise_file.h"

#include <stdlib.h>
#include <string.h>

static int hold(struct noise_file *file, const struct array *array, int64_t slices,
                struct error *error)
{
    free(file->data);
    file->data = calloc((size_t)(slices * array_slice_count(array)), sizeof *file->data);
    return file->data ? 0 : error_set(error, "out of memory");
}

static int next(struct noise_file *file, int rank, const int64_t *shape, int64_t held,
                struct error *error)
{
    struct array array, wanted = {.dtype = DTYPE_F32, .rank = rank};
    char found[128], needed[128];
    memcpy(wanted.shape, shape, (size_t)rank * sizeof *shape);
    if (!file->reader) {
        if (stream_reader_open(&file->reader, &file->path, 1, 0, error))
            return -1;
        stream_reader_refuse_nan(file->reader, true);
    }
    int status = stream_reader_next(file->reader, &array, error);
    if (status == 0)
        return error_set(error, "fewer arrays of noise than of input");
    if (status < 0)
        return -1;
    if (array.rank != rank || memcmp(array.shape, shape, (size_t)rank * sizeof *shape))
        return error_set(error, "noise %s, the input needs %s",
                         array_describe(&array, found, sizeof found),
                         array_describe(&wanted, needed, sizeof needed));
    return hold(file, &array, held < shape[0] ? held : shape[0], error);
}

int noise_file_next(struct noise_file *file, int rank, const int64_t *shape, int64_t held,
                    struct error *error)
{
    if (file->path && next(file, rank, shape, held, error))
        return error_prefix(error, "%s", file->path);
    return 0;
}

int noise_file_read(struct noise_file *file, int64_t slices, struct error *error)
{
    if (file->path && stream_reader_read_f32(file->reader, file->data, slices, error))
        return error_prefix(error, "%s", file->path);
    return 0;
}

void noise_file_close(struct noise_file *file)
{
    stream_reader_close(file->reader);
    free(file->data);
    *file = (struct noise_file){0};
}
