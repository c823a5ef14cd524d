#include "lib/training/tensor_list.h"

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

int tensor_list_write(const struct tensor_list *l, const char *path, const char *const *metadata,
                      struct error *error)
{
    struct safetensors_writer *writer;
    if (safetensors_writer_open(&writer, path, l->tensor, l->count, metadata, error))
        return -1;
    for (int64_t i = 0; i < l->count; i++)
        if (safetensors_writer_write(writer, l->tensor[i].data, l->tensor[i].bytes, error)) {
            safetensors_writer_abort(writer);
            return -1;
        }
    return safetensors_writer_close(writer, error);
}

void tensor_list_free(struct tensor_list *l)
{
    for (int64_t i = 0; i < l->count; i++)
        free((void *)(uintptr_t)l->tensor[i].name);
    free(l->tensor);
    *l = (struct tensor_list){0};
}
