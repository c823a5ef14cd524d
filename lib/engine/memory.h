/* Arrays of f32 in a backend's memory, which the host may be unable to read, and memory of the
 * host's for what goes to and fro. */
#ifndef OCTPIPE_ENGINE_MEMORY_H
#define OCTPIPE_ENGINE_MEMORY_H

#include "kernels/operation.h"
#include "lib/core/error.h"

/* `count` zeros; NULL: out of memory. */
float *memory_create(const struct backend *backend, int64_t count);
void memory_destroy(const struct backend *backend, float *memory, int64_t count); /* NULL is fine */

/* What fails is reported by the backend's next run. */
void memory_clear(const struct backend *backend, float *memory, int64_t count);

/* Copy from memory of the host or the backend to that of the backend, and from the backend's, or
 * the host's, to the host's. */
int memory_write(const struct backend *backend, float *to, const float *from, int64_t count,
                 struct error *error);
int memory_read(const struct backend *backend, void *to, const void *from, size_t bytes,
                struct error *error);

/* Zeroed bytes of the host's, from and to which a backend with a queue copies by itself, beside
 * other work; NULL: out of memory. */
void *memory_host_create(const struct backend *backend, int64_t bytes);
void memory_host_destroy(const struct backend *backend, void *memory); /* NULL is fine */

#endif
