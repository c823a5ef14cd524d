#include "lib/models/weights_cast.h"

#include "lib/io/array.h"
#include "lib/models/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16, NAME = 512 };
static const float f16_limit = 65520; /* from here on F16 is infinite */

struct cast {
    struct safetensors file;
    struct safetensor *out;         /* in the order of writing */
    const struct safetensor **data; /* for each of them, where its numbers are */
    int64_t count, averaged;
};

static bool is_real(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
}

static bool begins(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

/* The average of a tensor, NULL where there is none. */
static const struct safetensor *find_average(const struct safetensors *file, const char *name)
{
    char averaged[NAME];
    if (strlen(name) + 12 > sizeof averaged)
        return NULL;
    weights_averaged_name(name, averaged);
    return safetensors_find(file, averaged);
}

static int add(struct cast *cast, const struct safetensor *tensor, enum dtype dtype, bool ema,
               struct error *error)
{
    const struct safetensor *average = ema ? find_average(&cast->file, tensor->name) : NULL;
    cast->averaged += average != NULL;
    if (average && (!is_real(average->dtype) || average->rank != tensor->rank ||
                    memcmp(average->shape, tensor->shape, sizeof tensor->shape)))
        return error_set(error, "%s does not fit %s", average->name, tensor->name);
    cast->data[cast->count] = average ? average : tensor;
    cast->out[cast->count] = *tensor;
    cast->out[cast->count].dtype = is_real(tensor->dtype) ? dtype : tensor->dtype;
    cast->count++;
    return 0;
}

/* Wide types come before narrow ones. */
static int list_tensors(struct cast *cast, enum dtype dtype, bool ema, struct error *error)
{
    const struct safetensors *file = &cast->file;
    cast->out = calloc((size_t)file->count + 1, sizeof *cast->out);
    cast->data = calloc((size_t)file->count + 1, sizeof *cast->data);
    if (!cast->out || !cast->data)
        return error_set(error, "out of memory");
    for (int64_t width = 8; width > 0; width /= 2)
        for (int64_t i = 0; i < file->count; i++) {
            const struct safetensor *tensor = &file->tensor[i];
            enum dtype out = is_real(tensor->dtype) ? dtype : tensor->dtype;
            bool kept = !begins(tensor->name, "loss.") && !begins(tensor->name, "model_ema.");
            if (kept && dtype_size(out) == width && add(cast, tensor, dtype, ema, error))
                return -1;
        }
    if (ema && !cast->averaged)
        return error_set(error, "%s holds no averaged weights", file->path);
    return 0;
}

static int write_tensor(struct safetensors_writer *writer, const struct safetensor *out,
                        const struct safetensor *data, float *value, void *cast,
                        struct error *error)
{
    if (!is_real(out->dtype))
        return safetensors_writer_write(writer, data->data, data->bytes, error);
    int64_t size = dtype_size(data->dtype), count = data->bytes / size;
    for (int64_t at = 0; at < count; at += CHUNK) {
        int64_t now = count - at < CHUNK ? count - at : CHUNK;
        array_to_f32((const char *)data->data + at * size, data->dtype, value, now);
        for (int64_t i = 0; i < now; i++)
            if (!(fabsf(value[i]) < (out->dtype == DTYPE_F16 ? f16_limit : INFINITY)))
                return error_set(error, "%s holds %g, which %s cannot", data->name,
                                 (double)value[i], safetensors_dtype_name(out->dtype));
        array_from_f32(value, out->dtype, cast, now);
        if (safetensors_writer_write(writer, cast, now * dtype_size(out->dtype), error))
            return -1;
    }
    return 0;
}

static int write_all(struct safetensors_writer *writer, const struct cast *cast,
                     struct error *error)
{
    float *value = malloc(CHUNK * sizeof *value), *out = malloc(CHUNK * sizeof *out);
    int status = value && out ? 0 : error_set(error, "out of memory");
    for (int64_t i = 0; i < cast->count && !status; i++)
        status = write_tensor(writer, &cast->out[i], cast->data[i], value, out, error);
    free(value);
    free(out);
    return status;
}

/* The file's metadata with another history; NULL: out of memory. */
static const char **list_metadata(const struct safetensors *file, const char *history)
{
    const char **list = calloc((size_t)(2 * file->metadata_count + 3), sizeof *list);
    int64_t n = 0;
    for (int64_t i = 0; list && i < file->metadata_count; i++)
        if (strcmp(file->metadata_key[i], "history")) {
            list[n++] = file->metadata_key[i];
            list[n++] = file->metadata_value[i];
        }
    if (list) {
        list[n++] = "history";
        list[n] = history;
    }
    return list;
}

static int write_file(const struct cast *cast, const char *to, const char *command,
                      struct error *error)
{
    const char *before = safetensors_metadata(&cast->file, "history");
    char *history;
    struct safetensors_writer *writer;
    if (asprintf(&history, "%s%s%s", before ? before : "", before ? "\n" : "", command) < 0)
        return error_set(error, "out of memory");
    const char **metadata = list_metadata(&cast->file, history);
    int status = metadata
                     ? safetensors_writer_open(&writer, to, cast->out, cast->count, metadata, error)
                     : error_set(error, "out of memory");
    free(metadata);
    free(history);
    if (status)
        return -1;
    if (!write_all(writer, cast, error))
        return safetensors_writer_close(writer, error);
    safetensors_writer_abort(writer);
    return -1;
}

int weights_cast(const char *from, const char *to, enum dtype dtype, bool ema, const char *command,
                 struct error *error)
{
    struct cast cast = {0};
    if (safetensors_open(&cast.file, from, error))
        return -1;
    int status = list_tensors(&cast, dtype, ema, error);
    if (!status)
        status = write_file(&cast, to, command, error);
    free(cast.out);
    free(cast.data);
    safetensors_close(&cast.file);
    return status;
}
