#include "lib/checkpoint/container_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0x1950a86a20f9469cfc6c, as a pickle holds it. */
static const char magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

enum { PROTOCOL = 1001, COUNT_BYTES = 8 };

struct place {
    struct storage storage;
    int64_t offset; /* in the file; 0: not there */
};

struct legacy {
    int fd;
    unsigned char *map;
    int64_t bytes, at;   /* of the file; of the next byte */
    struct place *place; /* sorted by key */
    int64_t places;
};

static int map_file(struct legacy *l, const char *path, struct error *error)
{
    struct stat status;
    l->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0 || fstat(l->fd, &status) < 0)
        return error_set(error, "cannot open: %s", strerror(errno));
    void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, l->fd, 0);
    if (map == MAP_FAILED)
        return error_set(error, "cannot map: %s", strerror(errno));
    l->map = map;
    l->bytes = status.st_size;
    return 0;
}

static int next_pickle(struct legacy *l, struct pickle *pickle, const struct pickle_value **root,
                       struct error *error)
{
    int64_t used;
    int status = pickle_read(pickle, l->map + l->at, l->bytes - l->at, &used, root, error);
    l->at += used;
    return status;
}

/* Magic number, protocol, and the system: {'little_endian': True, …}. */
static int read_start(struct legacy *l, struct error *error)
{
    struct pickle pickle = {0};
    const struct pickle_value *number, *protocol, *system;
    int status = next_pickle(l, &pickle, &number, error);
    if (!status && (number->kind != PICKLE_LONG || number->count != sizeof magic - 1 ||
                    memcmp(number->text, magic, sizeof magic - 1)))
        status = error_set(error, "a pickle, but not one of torch.save");
    if (!status && !(status = next_pickle(l, &pickle, &protocol, error)) &&
        (protocol->kind != PICKLE_INT || protocol->integer != PROTOCOL))
        status = error_set(error, "its version is not %d", PROTOCOL);
    if (!status && !(status = next_pickle(l, &pickle, &system, error))) {
        const struct pickle_value *little = pickle_find(system, "little_endian");
        if (!little || little->kind != PICKLE_BOOL || !little->integer)
            status = error_set(error, "its byte order is not little endian");
    }
    pickle_free(&pickle);
    return status;
}

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return storage_compare(x->storage.key, y->storage.key);
}

static struct place *find(const struct legacy *l, const struct pickle_value *key)
{
    struct place wanted = {.storage.key = key};
    return bsearch(&wanted, l->place, (size_t)l->places, sizeof wanted, compare);
}

/* The storages that the object refers to, each once. */
static int list_storages(struct legacy *l, const struct pickle *pickle, struct error *error)
{
    l->place = calloc((size_t)pickle->persistents + 1, sizeof *l->place);
    if (!l->place)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < pickle->persistents; i++)
        if (storage_read(&l->place[i].storage, pickle->persistent[i], error))
            return -1;
    qsort(l->place, (size_t)pickle->persistents, sizeof *l->place, compare);
    for (int64_t i = 0; i < pickle->persistents; i++) {
        struct place *before = l->places ? &l->place[l->places - 1] : NULL;
        if (!before || compare(before, &l->place[i]))
            l->place[l->places++] = l->place[i];
        else if (before->storage.bytes != l->place[i].storage.bytes)
            return error_set(error, "two sizes are given for one storage");
    }
    return 0;
}

/* Where the storages lie, from the list of their keys. */
static int place_storages(struct legacy *l, const struct pickle_value *keys, struct error *error)
{
    if (keys->kind != PICKLE_LIST)
        return error_set(error, "the storages' keys are not a list");
    for (int i = 0; i < keys->count; i++) {
        const struct pickle_value *key = keys->item[i];
        struct place *place = key->kind == PICKLE_TEXT ? find(l, key) : NULL;
        int64_t count;
        if (!place || place->offset)
            return error_set(error, "a storage is listed that the object does not refer to once");
        if (l->bytes - l->at < COUNT_BYTES)
            return error_set(error, "cut short: %d of %d storages are there", i, keys->count);
        memcpy(&count, l->map + l->at, sizeof count);
        if (count != place->storage.count)
            return error_set(error,
                             "a storage holds %" PRId64 " elements, %" PRId64 " are announced",
                             count, place->storage.count);
        place->offset = l->at += COUNT_BYTES;
        if (place->storage.bytes > l->bytes - l->at)
            return error_set(error, "cut short: %d of %d storages are there", i, keys->count);
        l->at += place->storage.bytes;
    }
    return 0;
}

int legacy_open(struct legacy **legacy, const char *path, struct pickle *pickle,
                const struct pickle_value **root, struct error *error)
{
    struct pickle keys = {0};
    const struct pickle_value *list;
    struct legacy *l = *legacy = calloc(1, sizeof *l);
    if (!l)
        return error_set(error, "out of memory");
    l->fd = -1;
    if (map_file(l, path, error) || read_start(l, error) || next_pickle(l, pickle, root, error) ||
        list_storages(l, pickle, error))
        return -1;
    int status = next_pickle(l, &keys, &list, error);
    if (!status)
        status = place_storages(l, list, error);
    pickle_free(&keys);
    return status;
}

void legacy_close(struct legacy *l)
{
    if (!l)
        return;
    if (l->map)
        munmap(l->map, (size_t)l->bytes);
    if (l->fd >= 0)
        close(l->fd);
    free(l->place);
    free(l);
}

int legacy_begin(struct legacy *l, const struct storage *storage, struct error *error)
{
    const struct place *place = find(l, storage->key);
    if (!place || !place->offset)
        return error_set(error, "not in the file");
    l->at = place->offset;
    return 0;
}

/* Not from the map, whose pages would count as this program's memory. */
int legacy_read(struct legacy *l, void *data, int64_t bytes, struct error *error)
{
    for (char *to = data; bytes > 0;) {
        ssize_t now = pread(l->fd, to, (size_t)bytes, l->at);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            return error_set(error, "cannot read: %s", now ? strerror(errno) : "the file shrank");
        to += now;
        bytes -= now;
        l->at += now;
    }
    return 0;
}
