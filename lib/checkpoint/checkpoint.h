/* PyTorch checkpoints (.ckpt, .pt, .pth): the tensors of a state dict, read without Python and
 * without executing anything.
 *
 * Inside the state dict, which is the entry "state_dict" (Lightning) or else the whole object,
 * these names have a meaning, and an entry that is built by any other is refused by name:
 *     collections.OrderedDict
 *     torch._utils._rebuild_tensor, _rebuild_tensor_v2, _rebuild_parameter,
 *         _rebuild_parameter_with_state
 *     torch._tensor._rebuild_from_type_v2, of torch.Tensor and torch.nn.parameter.Parameter
 *     torch.FloatStorage, HalfStorage, BFloat16Storage, DoubleStorage, LongStorage, IntStorage,
 *         ShortStorage, CharStorage, ByteStorage, BoolStorage
 * Elsewhere (hyper-parameters, callbacks, optimizers) other names are inert: they are listed, never
 * called, and nothing is read from what they build. Wherever it stands, a name from a module that
 * runs programs or code (os, subprocess, sys, builtins.eval …, the list is in checkpoint.c) makes
 * the file refused: Python would obey it.
 *
 * A tensor must lie inside its storage and must not have more elements than it, its strides are
 * not negative, its axes at most SAFETENSORS_RANK. Limits of pickles are those of
 * lib/checkpoint/pickle.h. */
#ifndef OCTPIPE_CHECKPOINT_CHECKPOINT_H
#define OCTPIPE_CHECKPOINT_CHECKPOINT_H

#include "lib/checkpoint/container.h"
#include "lib/io/safetensors.h"

struct checkpoint_tensor {
    char *name;
    int rank;
    int64_t shape[SAFETENSORS_RANK], stride[SAFETENSORS_RANK]; /* in elements */
    int64_t offset, count;                                     /* elements */
    struct storage storage;
};

struct checkpoint {
    char *path; /* a copy */
    struct container *container;
    int64_t count;
    struct checkpoint_tensor *tensor; /* sorted by name */
    void *cached;                     /* a storage that several tensors lie in */
    const struct pickle_value *cached_key;
    int64_t cached_bytes;
};

/* Open a file and list its tensors; no storage is read. `checkpoint` needs no initialization; after
 * an error there is nothing to close. Reasons name the path. */
int checkpoint_open(struct checkpoint *checkpoint, const char *path, struct error *error);
void checkpoint_close(struct checkpoint *checkpoint);

/* The tensor of that name, NULL when there is none. */
const struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint,
                                                const char *name);

/* The next name without meaning that the file holds, "module.name"; NULL after the last. *index
 * starts at 0. */
const char *checkpoint_foreign(const struct checkpoint *checkpoint, int64_t *index, char *text,
                               int size);

/* Where checkpoint_copy puts a tensor's data, piece by piece, C order. */
struct checkpoint_sink {
    int (*write)(void *context, const void *data, int64_t count, struct error *error);
    void *context;
};

/* Read a tensor. One that fills its storage streams through a small buffer; of another the whole
 * storage is held, until a tensor of another storage comes, and must not exceed `limit` bytes (0:
 * half of the machine's memory). */
int checkpoint_copy(struct checkpoint *checkpoint, const struct checkpoint_tensor *tensor,
                    int64_t limit, struct checkpoint_sink sink, struct error *error);

#endif
