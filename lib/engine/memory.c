#include "lib/engine/memory.h"

#include <stdlib.h>
#include <string.h>

static size_t bytes_of(int64_t count)
{
    return (size_t)(count ? count : 1) * sizeof(float);
}

float *memory_create(const struct backend *backend, int64_t count)
{
    if (!backend->queue)
        return calloc((size_t)(count ? count : 1), sizeof(float));
    float *memory = backend->allocate(bytes_of(count));
    if (memory && backend->queue->clear(memory, bytes_of(count))) {
        backend->release(memory, bytes_of(count));
        return NULL;
    }
    return memory;
}

void memory_destroy(const struct backend *backend, float *memory, int64_t count)
{
    if (memory && backend->queue)
        backend->release(memory, bytes_of(count));
    else
        free(memory);
}

void memory_clear(const struct backend *backend, float *memory, int64_t count)
{
    if (backend->queue)
        backend->queue->clear(memory, bytes_of(count));
    else
        memset(memory, 0, (size_t)count * sizeof *memory);
}

int memory_write(const struct backend *backend, float *to, const float *from, int64_t count,
                 struct error *error)
{
    const struct queue *queue = backend->queue;
    if (!queue) {
        memcpy(to, from, (size_t)count * sizeof *to);
        return 0;
    }
    const char *why = queue->copy(LANE_WORK, to, from, (size_t)count * sizeof *to);
    if (!why)
        why = queue->wait(); /* the host may change `from` now */
    return why ? error_set(error, "copying to the device: %s", why) : 0;
}

int memory_read(const struct backend *backend, void *to, const void *from, size_t bytes,
                struct error *error)
{
    const struct queue *queue = backend->queue;
    if (!queue) {
        memcpy(to, from, bytes);
        return 0;
    }
    const char *why = queue->copy(LANE_WORK, to, from, bytes);
    if (!why)
        why = queue->wait();
    return why ? error_set(error, "copying from the device: %s", why) : 0;
}

void *memory_host_create(const struct backend *backend, int64_t bytes)
{
    size_t size = (size_t)(bytes ? bytes : 1);
    if (!backend->queue)
        return calloc(size, 1);
    void *memory = backend->queue->host_allocate(size);
    return memory ? memset(memory, 0, size) : NULL;
}

void memory_host_destroy(const struct backend *backend, void *memory)
{
    if (memory && backend->queue)
        backend->queue->host_release(memory);
    else
        free(memory);
}
