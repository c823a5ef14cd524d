#include "lib/checkpoint/import.h"
#include "lib/checkpoint/import_parts.h"

#include "lib/io/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONVERTED = 1 << 14 }; /* numbers at a time */

struct safetensor import_describe(const struct source *source)
{
    const struct checkpoint_tensor *t = source->tensor;
    enum dtype dtype = t->storage.dtype == DTYPE_F64 ? DTYPE_F32 : t->storage.dtype;
    struct safetensor tensor = {.name = source->name, .dtype = dtype, .rank = t->rank};
    memcpy(tensor.shape, t->shape, sizeof tensor.shape);
    return tensor;
}

static int declare_metadata(struct weights *w, const struct import_settings *settings,
                            struct error *error)
{
    char heads[24], groups[24];
    snprintf(heads, sizeof heads, "%lld", (long long)settings->heads);
    snprintf(groups, sizeof groups, "%lld", (long long)settings->groups);
    bool failed = (settings->heads && weights_declare_metadata(w, "heads", heads)) ||
                  (settings->groups && weights_declare_metadata(w, "groups", groups)) ||
                  weights_declare_metadata(w, "history", settings->command);
    return failed ? error_set(error, "out of memory") : 0;
}

/* What the part's networks ask for, of the sizes of the sources. */
static int declare(const struct import *import, struct weights **declared, struct error *error)
{
    struct safetensor *list = calloc((size_t)import->sources + 1, sizeof *list);
    struct weights *found = NULL;
    if (!list)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < import->sources; i++)
        list[i] = import_describe(&import->source[i]);
    int status =
        weights_describe(&found, part_names[import->settings->part], list, import->sources, error);
    if (!status)
        status = declare_metadata(found, import->settings, error);
    if (!status)
        status = part_declare(declared, import->settings->part, found, error);
    if (!status)
        status = declare_metadata(*declared, import->settings, error);
    weights_close(found);
    free(list);
    return status ? error_prefix(error, "%s", import->file->path) : 0;
}

/* Wide types before narrow ones, then by storage, so that each is read once. */
static int compare_order(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    int64_t wide = dtype_size(import_describe(x).dtype),
            other = dtype_size(import_describe(y).dtype);
    if (wide != other)
        return wide > other ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    int keys = storage_compare(x->tensor->storage.key, y->tensor->storage.key);
    return keys ? keys : strcmp(x->name, y->name);
}

/* A tensor on its way into the new file. */
struct transfer {
    struct safetensors_writer *writer;
    enum dtype from;
    float *buffer;
};

static int transfer(void *context, const void *data, int64_t count, struct error *error)
{
    const struct transfer *t = context;
    if (t->from != DTYPE_F64)
        return safetensors_writer_write(t->writer, data, count * dtype_size(t->from), error);
    for (int64_t at = 0; at < count; at += CONVERTED) {
        int64_t now = count - at < CONVERTED ? count - at : CONVERTED;
        array_to_f32((const double *)data + at, DTYPE_F64, t->buffer, now);
        if (safetensors_writer_write(t->writer, t->buffer, now * (int64_t)sizeof(float), error))
            return -1;
    }
    return 0;
}

static int write_all(struct import *import, struct safetensors_writer *writer, struct error *error)
{
    struct transfer to = {.writer = writer, .buffer = malloc(CONVERTED * sizeof(float))};
    int status = to.buffer ? 0 : error_set(error, "out of memory");
    for (int64_t i = 0; i < import->chosen_count && !status; i++) {
        const struct source *source = &import->chosen[i];
        to.from = source->tensor->storage.dtype;
        status = checkpoint_copy(source->file, source->tensor, import->settings->memory,
                                 (struct checkpoint_sink){transfer, &to}, error);
    }
    free(to.buffer);
    return status;
}

static int write_file(struct import *import, const struct weights *declared, const char *path,
                      struct error *error)
{
    struct safetensors_writer *writer;
    int64_t count = import->chosen_count;
    struct safetensor *list = calloc((size_t)count + 1, sizeof *list);
    if (!list)
        return error_set(error, "out of memory");
    qsort(import->chosen, (size_t)count, sizeof *import->chosen, compare_order);
    for (int64_t i = 0; i < count; i++)
        list[i] = import_describe(&import->chosen[i]);
    int status = safetensors_writer_open(&writer, path, list, count,
                                         weights_declared_metadata(declared), error);
    free(list);
    if (status)
        return -1;
    if (!write_all(import, writer, error))
        return safetensors_writer_close(writer, error);
    safetensors_writer_abort(writer);
    return -1;
}

static void release(struct source *source, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        free(source[i].name);
    free(source);
}

static void fill_report(const struct import *import, struct import_report *report)
{
    *report = (struct import_report){.tensors = import->chosen_count, .averages = import->averages};
    for (int64_t i = 0; i < import->files; i++)
        report->left_out += import->file[i].count;
    report->left_out -= import->chosen_count;
    for (int64_t i = 0; i < import->chosen_count; i++)
        report->bytes +=
            import->chosen[i].tensor->count * dtype_size(import_describe(&import->chosen[i]).dtype);
}

int import_checkpoints(const struct import_settings *settings, struct checkpoint *checkpoint,
                       int64_t count, const char *path, struct import_report *report,
                       struct error *error)
{
    struct import import = {.settings = settings, .file = checkpoint, .files = count};
    struct weights *declared = NULL;
    const struct safetensor *list;
    int status = import_list(&import, error);
    if (!status)
        status = declare(&import, &declared, error);
    if (!status) {
        int64_t asked = weights_declared(declared, &list);
        status = import_choose(&import, list, asked, error);
    }
    if (!status)
        status = write_file(&import, declared, path, error);
    if (!status)
        fill_report(&import, report);
    weights_close(declared);
    release(import.source, import.sources);
    release(import.chosen, import.chosen_count);
    return status;
}
