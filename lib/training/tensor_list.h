/* Tensors gathered for one safetensors file. */
#ifndef OCTPIPE_TRAINING_TENSOR_LIST_H
#define OCTPIPE_TRAINING_TENSOR_LIST_H

#include "kernels/operation.h"
#include "lib/io/safetensors.h"

struct tensor_list {
    struct safetensor *tensor; /* names are owned, data are not */
    int64_t count;
};

/* Add a tensor under prefix + name. */
int tensor_list_add(struct tensor_list *list, const char *prefix, const struct safetensor *tensor,
                    struct error *error);

/* Write the tensors, whose data are in the host's memory or the backend's, in their order; metadata
 * as safetensors_writer_open takes it. The file gets its name when it is complete and on the disk.
 */
int tensor_list_write(const struct tensor_list *list, const struct backend *backend,
                      const char *path, const char *const *metadata, struct error *error);

void tensor_list_free(struct tensor_list *list); /* {0} is fine */

#endif
