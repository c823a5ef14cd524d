#include "lib/models/noise_file.h"

#include <stdlib.h>
#include <string.h>

static int read_array(struct noise_file *file, const struct array *array, struct error *error)
{
    free(file->data);
    file->data = malloc((size_t)array_count(array) * sizeof *file->data);
    if (!file->data)
        return error_set(error, "out of memory");
    return stream_reader_read_f32(file->reader, file->data, array_slices(array), error);
}

int noise_file_next(struct noise_file *file, const char *path, int rank, const int64_t *shape,
                    struct error *error)
{
    struct array array, wanted = {.dtype = DTYPE_F32, .rank = rank};
    char found[128], needed[128];
    memcpy(wanted.shape, shape, (size_t)rank * sizeof *shape);
    if (!file->reader) {
        if (stream_reader_open(&file->reader, &path, 1, 0, error))
            return error_prefix(error, "%s", path);
        stream_reader_refuse_nan(file->reader, true);
    }
    int status = stream_reader_next(file->reader, &array, error);
    if (status == 0)
        return error_set(error, "%s: fewer arrays of noise than of input", path);
    if (status < 0)
        return error_prefix(error, "%s", path);
    if (array.rank != rank || memcmp(array.shape, shape, (size_t)rank * sizeof *shape))
        return error_set(error, "%s: noise %s, the input needs %s", path,
                         array_describe(&array, found, sizeof found),
                         array_describe(&wanted, needed, sizeof needed));
    return read_array(file, &array, error) ? error_prefix(error, "%s", path) : 0;
}

void noise_file_close(struct noise_file *file)
{
    stream_reader_close(file->reader);
    free(file->data);
    *file = (struct noise_file){0};
}
