#include "lib/io/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data are little endian");

enum {
    LENGTH_BYTES = 8,
    HEADER_LIMIT = 100 * 1000 * 1000, /* of the format's own library */
    ALIGNMENT = 64,
};

static const char metadata_name[] = "__metadata__";
static const char *const dtype_names[] = {
    [DTYPE_F32] = "F32",   [DTYPE_F16] = "F16", [DTYPE_BF16] = "BF16", [DTYPE_F64] = "F64",
    [DTYPE_U8] = "U8",     [DTYPE_I8] = "I8",   [DTYPE_U16] = "U16",   [DTYPE_I16] = "I16",
    [DTYPE_U32] = "U32",   [DTYPE_I32] = "I32", [DTYPE_U64] = "U64",   [DTYPE_I64] = "I64",
    [DTYPE_BOOL] = "BOOL",
};

const char *safetensors_dtype_name(enum dtype dtype)
{
    return dtype_names[dtype];
}

static bool find_dtype(const char *name, enum dtype *dtype)
{
    for (size_t i = 0; i < sizeof dtype_names / sizeof *dtype_names; i++)
        if (strcmp(name, dtype_names[i]) == 0) {
            *dtype = (enum dtype)i;
            return true;
        }
    return false;
}

/* A JSON number as a count: false unless it is a whole number in 0 … 2^53. */
static bool get_count(const cJSON *item, int64_t *count)
{
    const double largest = 9007199254740992.0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= largest))
        return false;
    *count = (int64_t)item->valuedouble;
    return (double)*count == item->valuedouble;
}

static int map_file(struct safetensors *file, struct error *error)
{
    int fd = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, "cannot open: %s", strerror(errno));
    struct stat status;
    int result = 0;
    if (fstat(fd, &status) < 0)
        result = error_set(error, "cannot open: %s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        result = error_set(error, "not a regular file: weights are memory-mapped");
    else if (status.st_size < LENGTH_BYTES + 2)
        result = error_set(error, "not a safetensors file: only %" PRId64 " bytes",
                           (int64_t)status.st_size);
    if (result == 0) {
        void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            result = error_set(error, "cannot map: %s", strerror(errno));
        } else {
            file->map = map;
            file->map_bytes = status.st_size;
        }
    }
    close(fd);
    return result;
}

/* Parse the header; *data_start becomes the offset of the data in the file. */
static int parse_header(struct safetensors *file, int64_t *data_start, struct error *error)
{
    uint64_t length;
    memcpy(&length, file->map, sizeof length);
    const char *header = (const char *)file->map + LENGTH_BYTES;
    if (header[0] != '{')
        return error_set(error, "not a safetensors file: no header at byte %d", LENGTH_BYTES);
    if (length > (uint64_t)(file->map_bytes - LENGTH_BYTES))
        return error_set(error,
                         "cut short: the header of %" PRIu64 " bytes ends beyond the "
                         "file's %" PRId64,
                         length, file->map_bytes);
    if (length > HEADER_LIMIT)
        return error_set(error, "header of %" PRIu64 " bytes, more than %d", length, HEADER_LIMIT);

    const char *end = header;
    file->json = cJSON_ParseWithLengthOpts(header, (size_t)length, &end, false);
    if (!file->json)
        return error_set(error, "header is not JSON (at byte %td)", end - header + LENGTH_BYTES);
    for (; end < header + length; end++)
        if (*end != ' ')
            return error_set(error, "text after the end of the JSON header (at byte %td)",
                             end - header + LENGTH_BYTES);
    *data_start = LENGTH_BYTES + (int64_t)length;
    return 0;
}

static int read_metadata(struct safetensors *file, const cJSON *item, struct error *error)
{
    if (!cJSON_IsObject(item))
        return error_set(error, "%s is not an object", metadata_name);
    if (file->metadata_key)
        return error_set(error, "%s appears twice", metadata_name);
    size_t count = (size_t)cJSON_GetArraySize(item);
    file->metadata_key = calloc(count + 1, sizeof *file->metadata_key);
    file->metadata_value = calloc(count + 1, sizeof *file->metadata_value);
    if (!file->metadata_key || !file->metadata_value)
        return error_set(error, "out of memory");
    for (cJSON *entry = item->child; entry; entry = entry->next) {
        if (!cJSON_IsString(entry))
            return error_set(error, "metadata \"%.100s\" is not a string", entry->string);
        file->metadata_key[file->metadata_count] = entry->string;
        file->metadata_value[file->metadata_count++] = entry->valuestring;
    }
    return 0;
}

/* One entry of the header. `begin` becomes the offset of its data after data_start; map_bytes is
 * not looked at, so that a file cut short can be told from offsets that make no sense. */
static int read_entry(const cJSON *item, struct safetensor *tensor, int64_t *begin,
                      struct error *error)
{
    const char *name = tensor->name = item->string;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ')
            return error_set(error, "a tensor's name has control characters");
    if (!cJSON_IsObject(item))
        return error_set(error, "tensor %.200s: its entry is not an object", name);

    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsString(dtype) || !cJSON_IsArray(shape) || !cJSON_IsArray(offsets))
        return error_set(error, "tensor %.200s: dtype, shape or data_offsets is missing", name);
    if (!find_dtype(dtype->valuestring, &tensor->dtype))
        return error_set(error, "tensor %.200s: unknown dtype \"%.20s\"", name, dtype->valuestring);
    if (cJSON_GetArraySize(shape) > SAFETENSORS_RANK)
        return error_set(error, "tensor %.200s: more than %d axes", name, SAFETENSORS_RANK);

    tensor->bytes = dtype_size(tensor->dtype);
    for (const cJSON *extent = shape->child; extent; extent = extent->next) {
        int64_t *to = &tensor->shape[tensor->rank++];
        if (!get_count(extent, to))
            return error_set(error, "tensor %.200s: an extent is not a whole number", name);
        if (__builtin_mul_overflow(tensor->bytes, *to, &tensor->bytes))
            return error_set(error, "tensor %.200s: shape overflows", name);
    }
    int64_t end;
    if (cJSON_GetArraySize(offsets) != 2 || !get_count(offsets->child, begin) ||
        !get_count(offsets->child->next, &end) || end < *begin)
        return error_set(error, "tensor %.200s: data_offsets are not two ascending numbers", name);
    if (end - *begin != tensor->bytes)
        return error_set(error,
                         "tensor %.200s: data_offsets hold %" PRId64 " bytes, shape and dtype "
                         "%" PRId64,
                         name, end - *begin, tensor->bytes);
    return 0;
}

struct placed {
    int64_t begin;
    struct safetensor *tensor;
};

static int compare_placed_name(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return strcmp(x->tensor->name, y->tensor->name);
}

static int compare_begin(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->tensor->bytes > y->tensor->bytes) - (x->tensor->bytes < y->tensor->bytes);
}

static int refuse_duplicates(const struct safetensors *file, struct placed *placed,
                             struct error *error)
{
    qsort(placed, (size_t)file->count, sizeof *placed, compare_placed_name);
    for (int64_t i = 1; i < file->count; i++)
        if (compare_placed_name(&placed[i - 1], &placed[i]) == 0)
            return error_set(error, "tensor %.200s appears twice", placed[i].tensor->name);
    return 0;
}

/* The data must follow one another from data_start to the end of the file. */
static int place_tensors(struct safetensors *file, struct placed *placed, int64_t data_start,
                         struct error *error)
{
    qsort(placed, (size_t)file->count, sizeof *placed, compare_begin);
    int64_t end = 0;
    for (int64_t i = 0; i < file->count; i++) {
        const char *name = placed[i].tensor->name;
        if (placed[i].begin < end)
            return error_set(error, "tensor %.200s overlaps tensor %.200s", name,
                             placed[i - 1].tensor->name);
        if (placed[i].begin > end)
            return error_set(error, "tensor %.200s: a gap of %" PRId64 " bytes before its data",
                             name, placed[i].begin - end);
        end += placed[i].tensor->bytes; /* at most 2^53, as data_offsets are */
    }
    int64_t announced = data_start + end;
    if (file->map_bytes < announced)
        return error_set(error,
                         "cut short: file is %" PRId64 " bytes, its header announces %" PRId64,
                         file->map_bytes, announced);
    if (file->map_bytes > announced)
        return error_set(error,
                         "bytes after the data: file is %" PRId64 " bytes, its header announces "
                         "%" PRId64,
                         file->map_bytes, announced);
    for (int64_t i = 0; i < file->count; i++)
        placed[i].tensor->data = (const char *)file->map + data_start + placed[i].begin;
    return 0;
}

static int read_entries(struct safetensors *file, struct placed *placed, struct error *error)
{
    for (const cJSON *item = file->json->child; item; item = item->next) {
        if (strcmp(item->string, metadata_name) == 0) {
            if (read_metadata(file, item, error) < 0)
                return -1;
            continue;
        }
        struct placed *to = &placed[file->count];
        to->tensor = &file->tensor[file->count++];
        if (read_entry(item, to->tensor, &to->begin, error) < 0)
            return -1;
    }
    return 0;
}

static int compare_name(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static bool is_misaligned(const struct safetensor *tensor)
{
    return (uintptr_t)tensor->data % (uintptr_t)dtype_size(tensor->dtype) != 0;
}

static int64_t round_up(int64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The format does not align data; C does. Files of the usual writers need no copy. */
static int realign(struct safetensors *file, struct error *error)
{
    int64_t total = 0;
    for (int64_t i = 0; i < file->count; i++)
        if (is_misaligned(&file->tensor[i]))
            total += round_up(file->tensor[i].bytes);
    if (total == 0)
        return 0;
    file->realigned = aligned_alloc(ALIGNMENT, (size_t)total);
    if (!file->realigned)
        return error_set(error, "out of memory");
    char *to = file->realigned;
    for (int64_t i = 0; i < file->count; i++) {
        struct safetensor *tensor = &file->tensor[i];
        if (!is_misaligned(tensor))
            continue;
        memcpy(to, tensor->data, (size_t)tensor->bytes);
        tensor->data = to;
        to += round_up(tensor->bytes);
    }
    return 0;
}

static int read_tensors(struct safetensors *file, int64_t data_start, struct error *error)
{
    size_t entries = (size_t)cJSON_GetArraySize(file->json);
    struct placed *placed = calloc(entries + 1, sizeof *placed);
    file->tensor = calloc(entries + 1, sizeof *file->tensor);
    int result = -1;
    if (!placed || !file->tensor)
        error_set(error, "out of memory");
    else if (read_entries(file, placed, error) == 0 && refuse_duplicates(file, placed, error) == 0)
        result = place_tensors(file, placed, data_start, error);
    free(placed);
    if (result < 0)
        return -1;
    qsort(file->tensor, (size_t)file->count, sizeof *file->tensor, compare_name);
    return realign(file, error);
}

int safetensors_open(struct safetensors *file, const char *path, struct error *error)
{
    *file = (struct safetensors){.path = strdup(path)};
    int64_t data_start = 0;
    if (!file->path) {
        error_set(error, "out of memory");
    } else if (map_file(file, error) == 0 && parse_header(file, &data_start, error) == 0 &&
               read_tensors(file, data_start, error) == 0) {
        return 0;
    }
    safetensors_close(file);
    return error_prefix(error, "%s", path);
}

void safetensors_close(struct safetensors *file)
{
    if (file->map)
        munmap(file->map, (size_t)file->map_bytes);
    cJSON_Delete(file->json);
    free(file->realigned);
    free(file->tensor);
    free(file->metadata_key);
    free(file->metadata_value);
    free(file->path);
    *file = (struct safetensors){0};
}

const struct safetensor *safetensors_find(const struct safetensors *file, const char *name)
{
    const struct safetensor key = {.name = name};
    return bsearch(&key, file->tensor, (size_t)file->count, sizeof key, compare_name);
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    for (int64_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata_key[i], key) == 0)
            return file->metadata_value[i];
    return NULL;
}
