#include "lib/training/tensor_list.h"

#include "lib/engine/memory.h"

#include <stdlib.h>
#include <string.h>

int tensor_list_add(struct tensor_list *l, const char *prefix, const struct safetensor *tensor,
                    struct error *error)
{
    struct safetensor *list = realloc(l->tensor, (size_t)(l->count + 1) * sizeof *list);
    char *name = malloc(strlen(prefix) + strlen(tensor->name) + 1);
    if (list)
        l->tensor = list;
    if (!list || !name) {
        free(name);
        return error_set(error, "out of memory");
    }
    strcat(strcpy(name, prefix), tensor->name);
    struct safetensor *added = &l->tensor[l->count++];
    *added = *tensor;
    added->name = name;
    added->bytes = dtype_size(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        added->bytes *= tensor->shape[i];
    return 0;
}

/* Room for the largest tensor where the host may be unable to read the data, else NULL. */
static int make_room(const struct tensor_list *l, const struct backend *backend, void **room,
                     struct error *error)
{
    int64_t most = 1;
    *room = NULL;
    if (!backend->queue)
        return 0;
    for (int64_t i = 0; i < l->count; i++)
        most = l->tensor[i].bytes > most ? l->tensor[i].bytes : most;
    *room = malloc((size_t)most);
    return *room ? 0 : error_set(error, "out of memory");
}

static int write_all(const struct tensor_list *l, const struct backend *backend,
                     struct safetensors_writer *writer, void *room, struct error *error)
{
    for (int64_t i = 0; i < l->count; i++) {
        const struct safetensor *tensor = &l->tensor[i];
        const void *data = room ? room : tensor->data;
        if ((room && memory_read(backend, room, tensor->data, (size_t)tensor->bytes, error)) ||
            safetensors_writer_write(writer, data, tensor->bytes, error))
            return -1;
    }
    return 0;
}

int tensor_list_write(const struct tensor_list *l, const struct backend *backend, const char *path,
                      const char *const *metadata, struct error *error)
{
    struct safetensors_writer *writer;
    void *room;
    if (make_room(l, backend, &room, error))
        return -1;
    int status = safetensors_writer_open(&writer, path, l->tensor, l->count, metadata, error);
    if (!status && write_all(l, backend, writer, room, error)) {
        safetensors_writer_abort(writer);
        status = -1;
    } else if (!status) {
        status = safetensors_writer_close(writer, error);
    }
    free(room);
    return status;
}

void tensor_list_free(struct tensor_list *l)
{
    for (int64_t i = 0; i < l->count; i++)
        free((void *)(uintptr_t)l->tensor[i].name);
    free(l->tensor);
    *l = (struct tensor_list){0};
}
