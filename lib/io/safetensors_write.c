#include "lib/io/safetensors.h"
#include "lib/io/output.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

struct safetensors_writer {
    struct output output;
    char *path;
    int64_t missing; /* bytes of data still to be written */
};

static void release(struct safetensors_writer *writer)
{
    free(writer->path);
    free(writer);
}

/* Bytes of a UTF-8 sequence at text, 0 when it is not one. */
static int utf8_sequence(const unsigned char *text)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } form[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (int extra = 0; extra < 4; extra++) {
        if ((text[0] & form[extra].mask) != form[extra].lead)
            continue;
        uint32_t code = (uint32_t)text[0] & (unsigned char)~form[extra].mask;
        for (int i = 1; i <= extra; i++) {
            if ((text[i] & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (text[i] & 0x3Fu);
        }
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        return code < form[extra].least || surrogate || code > 0x10FFFF ? 0 : extra + 1;
    }
    return 0;
}

/* A copy of text in which bytes that are not UTF-8 (a file name in the history) are '?', because
 * other readers refuse a header with such bytes. */
static char *copy_utf8(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; c && *c;) {
        int bytes = utf8_sequence((const unsigned char *)c);
        if (bytes == 0)
            *c = '?';
        c += bytes ? bytes : 1;
    }
    return copy;
}

static bool add_metadata(cJSON *header, const char *const *metadata)
{
    cJSON *object = cJSON_AddObjectToObject(header, "__metadata__");
    for (; object && *metadata; metadata += 2) {
        char *value = copy_utf8(metadata[1]);
        bool added = value && cJSON_AddStringToObject(object, metadata[0], value);
        free(value);
        if (!added)
            return false;
    }
    return object != NULL;
}

static bool add_tensor(cJSON *header, const struct safetensor *tensor, int64_t begin, int64_t end)
{
    cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
    cJSON *shape = NULL, *offsets = NULL;
    if (entry && cJSON_AddStringToObject(entry, "dtype", safetensors_dtype_name(tensor->dtype)))
        shape = cJSON_AddArrayToObject(entry, "shape");
    for (int i = 0; shape && i < tensor->rank; i++)
        if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->shape[i])))
            return false;
    if (shape)
        offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    return offsets && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
}

static int compare_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_names(const struct safetensor *tensor, int64_t count, struct error *error)
{
    const char **name = calloc((size_t)count + 1, sizeof *name);
    if (!name)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < count; i++)
        name[i] = tensor[i].name;
    qsort(name, (size_t)count, sizeof *name, compare_name);
    int result = 0;
    for (int64_t i = 0; result == 0 && i < count; i++) {
        for (const char *c = name[i]; *c && result == 0;) {
            int bytes = utf8_sequence((const unsigned char *)c);
            if (bytes == 0 || (unsigned char)*c < ' ')
                result = error_set(error, "a tensor's name is not plain text");
            c += bytes;
        }
        if (i > 0 && strcmp(name[i - 1], name[i]) == 0)
            result = error_set(error, "tensor %.200s is given twice", name[i]);
    }
    free(name);
    return result;
}

/* The bytes of a tensor from its shape and dtype. */
static int count_bytes(const struct safetensor *tensor, int64_t *bytes, struct error *error)
{
    *bytes = dtype_size(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] < 0 || __builtin_mul_overflow(*bytes, tensor->shape[i], bytes))
            return error_set(error, "tensor %.200s: shape overflows", tensor->name);
    return 0;
}

static int build_header(cJSON *header, const struct safetensor *tensor, int64_t count,
                        const char *const *metadata, int64_t *data_bytes, struct error *error)
{
    if (metadata && *metadata && !add_metadata(header, metadata))
        return error_set(error, "out of memory");
    *data_bytes = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t bytes, begin = *data_bytes;
        if (count_bytes(&tensor[i], &bytes, error) < 0)
            return -1;
        if (__builtin_add_overflow(begin, bytes, data_bytes))
            return error_set(error, "tensors of more than 2^63 bytes");
        if (!add_tensor(header, &tensor[i], begin, *data_bytes))
            return error_set(error, "out of memory");
    }
    return 0;
}

/* Length, JSON, and the spaces that let the data start at a multiple of 64; *bytes of them. */
static char *make_header(const struct safetensor *tensor, int64_t count,
                         const char *const *metadata, int64_t *bytes, int64_t *data_bytes,
                         struct error *error)
{
    cJSON *json = cJSON_CreateObject();
    char *text = NULL, *header = NULL;
    error_set(error, "out of memory");
    if (json && check_names(tensor, count, error) == 0 &&
        build_header(json, tensor, count, metadata, data_bytes, error) == 0)
        text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text) {
        uint64_t length = strlen(text);
        uint64_t padded = (length + 8 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT - 8;
        header = malloc(8 + padded);
        if (header) {
            memcpy(header, &padded, 8);
            memset(header + 8, ' ', padded);
            memcpy(header + 8, text, length);
            *bytes = (int64_t)(8 + padded);
        }
    }
    free(text);
    return header;
}

int safetensors_writer_open(struct safetensors_writer **result, const char *path,
                            const struct safetensor *tensor, int64_t count,
                            const char *const *metadata, struct error *error)
{
    int64_t bytes;
    struct safetensors_writer *writer = calloc(1, sizeof *writer);
    if (!writer || !(writer->path = strdup(path))) {
        free(writer);
        return error_set(error, "writing %s: out of memory", path);
    }
    char *header = make_header(tensor, count, metadata, &bytes, &writer->missing, error);
    if (!header) {
        error_prefix(error, "writing %s", path);
    } else if (output_open(&writer->output, writer->path, error) == 0) {
        if (output_write(&writer->output, header, (size_t)bytes, error) == 0) {
            free(header);
            *result = writer;
            return 0;
        }
        output_discard(&writer->output);
    }
    free(header);
    release(writer);
    return -1;
}

int safetensors_writer_write(struct safetensors_writer *writer, const void *data, int64_t bytes,
                             struct error *error)
{
    if (bytes > writer->missing)
        return error_set(error, "writing %s: %" PRId64 " bytes more than the header announces",
                         writer->path, bytes - writer->missing);
    writer->missing -= bytes;
    return output_write(&writer->output, data, (size_t)bytes, error);
}

int safetensors_writer_close(struct safetensors_writer *writer, struct error *error)
{
    int result = 0;
    if (writer->missing > 0)
        result = error_set(error, "writing %s: %" PRId64 " bytes of tensor data were not given",
                           writer->path, writer->missing);
    else if (writer->output.target && fsync(writer->output.fd) < 0)
        /* A checkpoint must survive a crash of the machine after its predecessor is replaced. */
        result = error_set(error, "writing %s: %s", writer->path, strerror(errno));
    if (result == 0)
        result = output_close(&writer->output, error);
    else
        output_discard(&writer->output);
    release(writer);
    return result;
}

void safetensors_writer_abort(struct safetensors_writer *writer)
{
    if (!writer)
        return;
    output_discard(&writer->output);
    release(writer);
}
