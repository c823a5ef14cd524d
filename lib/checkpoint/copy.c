#include "lib/checkpoint/checkpoint.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

static bool is_contiguous(const struct checkpoint_tensor *t)
{
    int64_t step = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->stride[i] != step)
            return false;
        step *= t->shape[i];
    }
    return true;
}

/* The storage from its beginning to its end, into the sink or into `all`. */
static int read_storage(struct checkpoint *c, const struct storage *storage, char *buffer,
                        struct checkpoint_sink sink, char *all, struct error *error)
{
    int64_t size = dtype_size(storage->dtype);
    int status = container_begin(c->container, storage, error);
    for (int64_t left = storage->bytes; left > 0 && !status;) {
        int64_t now = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        char *to = all ? all + storage->bytes - left : buffer;
        status = container_read(c->container, to, now, error);
        if (!status && !all)
            status = sink.write(sink.context, to, now / size, error);
        left -= now;
    }
    return container_end(c->container, status ? NULL : error) || status ? -1 : 0;
}

static int cache(struct checkpoint *c, const struct storage *storage, int64_t limit,
                 struct error *error)
{
    if (c->cached && c->cached_bytes == storage->bytes &&
        !storage_compare(c->cached_key, storage->key))
        return 0;
    free(c->cached);
    c->cached = NULL;
    limit = limit ? limit : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
    if (storage->bytes > limit)
        return error_set(error,
                         "it shares a storage of %lld bytes with others, or is a part of it; "
                         "--memory allows %lld",
                         (long long)storage->bytes, (long long)limit);
    char *all = malloc((size_t)storage->bytes + 1);
    if (!all)
        return error_set(error, "out of memory");
    if (read_storage(c, storage, NULL, (struct checkpoint_sink){0}, all, error)) {
        free(all);
        return -1;
    }
    c->cached = all;
    c->cached_key = storage->key;
    c->cached_bytes = storage->bytes;
    return 0;
}

/* Elements one after another, the last axis fastest. */
static int gather(const struct checkpoint_tensor *t, const char *data, char *buffer,
                  struct checkpoint_sink sink, struct error *error)
{
    int64_t index[SAFETENSORS_RANK] = {0}, size = dtype_size(t->storage.dtype), filled = 0;
    const int64_t room = CHUNK_BYTES / size;
    for (int64_t i = 0, at = t->offset; i < t->count; i++) {
        memcpy(buffer + filled * size, data + at * size, (size_t)size);
        if (++filled == room || i == t->count - 1) {
            if (sink.write(sink.context, buffer, filled, error))
                return -1;
            filled = 0;
        }
        for (int axis = t->rank - 1; axis >= 0; axis--) {
            at += t->stride[axis];
            if (++index[axis] < t->shape[axis])
                break;
            at -= t->stride[axis] * index[axis];
            index[axis] = 0;
        }
    }
    return 0;
}

int checkpoint_copy(struct checkpoint *c, const struct checkpoint_tensor *t, int64_t limit,
                    struct checkpoint_sink sink, struct error *error)
{
    const struct storage *storage = &t->storage;
    if (!t->count)
        return 0;
    char *buffer = malloc(CHUNK_BYTES);
    int status = 0;
    if (!buffer)
        status = error_set(error, "out of memory");
    else if (is_contiguous(t) && t->count == storage->count)
        status = read_storage(c, storage, buffer, sink, NULL, error);
    else if (!(status = cache(c, storage, limit, error)))
        status = gather(t, c->cached, buffer, sink, error);
    free(buffer);
    return status ? error_prefix(error, "%s: %.200s", c->path, t->name) : 0;
}
