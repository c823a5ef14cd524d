#include "lib/checkpoint/container.h"
#include "lib/checkpoint/container_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct container {
    struct pickle pickle;
    const struct pickle_value *root;
    struct archive *archive; /* one of the two */
    struct legacy *legacy;
};

static const struct {
    const char *name;
    enum dtype dtype;
} storage_types[] = {
    {"FloatStorage", DTYPE_F32},  {"HalfStorage", DTYPE_F16}, {"BFloat16Storage", DTYPE_BF16},
    {"DoubleStorage", DTYPE_F64}, {"LongStorage", DTYPE_I64}, {"IntStorage", DTYPE_I32},
    {"ShortStorage", DTYPE_I16},  {"CharStorage", DTYPE_I8},  {"ByteStorage", DTYPE_U8},
    {"BoolStorage", DTYPE_BOOL},
};

int storage_read(struct storage *storage, const struct pickle_value *persistent,
                 struct error *error)
{
    const struct pickle_value *id = persistent->item[0];
    bool fits = id->kind == PICKLE_TUPLE && (id->count == 5 || id->count == 6) &&
                pickle_is_text(id->item[0], "storage") && id->item[1]->kind == PICKLE_GLOBAL &&
                id->item[2]->kind == PICKLE_TEXT && id->item[4]->kind == PICKLE_INT;
    if (!fits || (id->count == 6 && id->item[5]->kind != PICKLE_NONE))
        return error_set(error, "a persistent identifier is not that of a storage");
    *storage = (struct storage){.key = id->item[2], .count = id->item[4]->integer};
    size_t i = 0, types = sizeof storage_types / sizeof *storage_types;
    while (i < types && !pickle_is_global(id->item[1], "torch", storage_types[i].name))
        i++;
    char text[128];
    if (i == types)
        return error_set(error, "a storage is a %s, which is not read",
                         pickle_describe(id->item[1], text, sizeof text));
    storage->dtype = storage_types[i].dtype;
    if (storage->count < 0 ||
        __builtin_mul_overflow(storage->count, dtype_size(storage->dtype), &storage->bytes))
        return error_set(error, "a storage of %lld elements", (long long)storage->count);
    return 0;
}

int storage_compare(const struct pickle_value *a, const struct pickle_value *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return memcmp(a->text, b->text, (size_t)a->count);
}

/* The file's first bytes, fewer where it is shorter. */
static int read_start(const char *path, unsigned char start[16], struct error *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set(error, "cannot open: %s", strerror(errno));
    int result = 0;
    memset(start, 0, 16);
    if (fstat(fd, &status) < 0 || (S_ISREG(status.st_mode) && pread(fd, start, 16, 0) < 0))
        result = error_set(error, "cannot read: %s", strerror(errno));
    else if (!S_ISREG(status.st_mode))
        result = error_set(error, "not a regular file: storages are read in any order");
    close(fd);
    return result;
}

int container_open(struct container **result, const char *path, struct error *error)
{
    unsigned char start[16];
    if (read_start(path, start, error))
        return -1;
    struct container *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(error, "out of memory");
    int status;
    if (!memcmp(start, "PK\3\4", 4))
        status = archive_open(&c->archive, path, &c->pickle, &c->root, error);
    else if (start[0] == 0x80)
        status = legacy_open(&c->legacy, path, &c->pickle, &c->root, error);
    else
        status = error_set(error, "neither of PyTorch's formats: no zip archive, no pickle%s",
                           start[8] == '{' ? "; it looks like safetensors, as it should be" : "");
    if (status) {
        container_close(c);
        return -1;
    }
    *result = c;
    return 0;
}

void container_close(struct container *c)
{
    if (!c)
        return;
    archive_close(c->archive);
    legacy_close(c->legacy);
    pickle_free(&c->pickle);
    free(c);
}

const struct pickle *container_pickle(const struct container *c)
{
    return &c->pickle;
}

const struct pickle_value *container_root(const struct container *c)
{
    return c->root;
}

int container_begin(struct container *c, const struct storage *storage, struct error *error)
{
    int status = c->archive ? archive_begin(c->archive, storage, error)
                            : legacy_begin(c->legacy, storage, error);
    return status ? error_prefix(error, "storage %.*s",
                                 storage->key->count > 40 ? 40 : storage->key->count,
                                 storage->key->text)
                  : 0;
}

int container_read(struct container *c, void *data, int64_t bytes, struct error *error)
{
    return c->archive ? archive_read(c->archive, data, bytes, error)
                      : legacy_read(c->legacy, data, bytes, error);
}

int container_end(struct container *c, struct error *error)
{
    return c->archive ? archive_end(c->archive, error) : 0;
}
