/* TIFF stacks, NPY and raw numbers as scans. */
#include "lib/io/input.h"
#include "lib/io/stream.h"
#include "lib/io/tiff.h"
#include "lib/scans/formats.h"

#include <stdlib.h>
#include <string.h>

static int open_tiff(void **state, const char *path, const struct scan_settings *settings,
                     int64_t *volumes, struct array *array, struct error *error)
{
    const struct tiff_mapping mapping = {.labels = settings->labels, .stored = true};
    struct tiff_reader *reader;
    if (tiff_reader_open(&reader, path, &mapping, settings->limit, error) < 0)
        return -1;
    *volumes = tiff_reader_volumes(reader);
    *array = *tiff_reader_array(reader);
    *state = reader;
    return 0;
}

static int read_tiff(void *state, void *slice, struct error *error)
{
    return tiff_reader_read(state, slice, error);
}

static void close_tiff(void *state)
{
    tiff_reader_close(state);
}

const struct scan_format scan_tiff = {.open = open_tiff, .read = read_tiff, .close = close_tiff};

struct npy {
    struct stream_reader *reader;
    const char *path;
    int64_t rows; /* slices of the stream that make one of the volume */
};

static void close_npy(void *state)
{
    struct npy *npy = state;
    stream_reader_close(npy->reader);
    free(npy);
}

static int open_npy(void **state, const char *path, const struct scan_settings *settings,
                    int64_t *volumes, struct array *array, struct error *error)
{
    (void)array;
    struct npy *npy = calloc(1, sizeof *npy);
    if (!npy)
        return error_set(error, "out of memory");
    npy->path = path;
    if (stream_reader_open(&npy->reader, &npy->path, 1, settings->limit, error) < 0) {
        free(npy);
        return -1;
    }
    *volumes = 0;
    *state = npy;
    return 0;
}

/* A bare array of two axes is a slice. */
static int next_npy(void *state, struct array *array, struct error *error)
{
    struct npy *npy = state;
    struct array found;
    char text[256];
    int status = stream_reader_next(npy->reader, &found, error);
    if (status <= 0)
        return status;
    if (found.marked ? found.rank != 3 : found.rank != 3 && found.rank != 2)
        return error_set(error, "a volume (D,H,W) is expected, not %s %s",
                         *found.kind ? found.kind : "an array",
                         array_describe(&found, text, sizeof text));
    npy->rows = found.rank == 3 ? 1 : found.shape[0];
    if (found.marked) {
        *array = found;
        return 1;
    }
    array->dtype = found.dtype;
    array->shape[0] = found.rank == 3 ? found.shape[0] : 1;
    array->shape[1] = found.shape[found.rank - 2];
    array->shape[2] = found.shape[found.rank - 1];
    return 1;
}

static int read_npy(void *state, void *slice, struct error *error)
{
    struct npy *npy = state;
    return stream_reader_read(npy->reader, slice, npy->rows, error);
}

const struct scan_format scan_npy = {
    .open = open_npy, .next = next_npy, .read = read_npy, .close = close_npy};

struct raw {
    struct input input;
    int64_t slice_bytes;
};

static void close_raw(void *state)
{
    struct raw *raw = state;
    input_close(&raw->input);
    free(raw);
}

static int open_raw(void **state, const char *path, const struct scan_settings *settings,
                    int64_t *volumes, struct array *array, struct error *error)
{
    array->dtype = settings->dtype;
    memcpy(array->shape, settings->shape, sizeof settings->shape);
    if (array_check(array, error) < 0)
        return -1;
    struct raw *raw = calloc(1, sizeof *raw);
    if (!raw)
        return error_set(error, "out of memory");
    char text[256];
    raw->slice_bytes = array_bytes(array) / array->shape[0];
    int status = input_open(&raw->input, path, error);
    if (status == 0 && raw->input.file_left != array_bytes(array))
        status = error_set(error, "it holds %lld bytes, but %s takes %lld",
                           (long long)raw->input.file_left,
                           array_describe(array, text, sizeof text), (long long)array_bytes(array));
    if (status < 0) {
        close_raw(raw);
        return -1;
    }
    *volumes = 1;
    *state = raw;
    return 0;
}

static int read_raw(void *state, void *slice, struct error *error)
{
    struct raw *raw = state;
    int64_t got = input_read(&raw->input, slice, raw->slice_bytes, error);
    if (got >= 0 && got < raw->slice_bytes)
        return error_set(error, "it became shorter while it was read");
    return got < 0 ? -1 : 0;
}

const struct scan_format scan_raw = {.open = open_raw, .read = read_raw, .close = close_raw};
