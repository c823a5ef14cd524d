#include "kernels/needs.h"

#include <stdint.h>

size_t needs_reserve(size_t *total, int64_t count, int64_t size, size_t alignment)
{
    size_t offset = *total, bytes, end;
    if (offset == SIZE_MAX || __builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(offset, bytes, &end) ||
        __builtin_add_overflow(end, alignment - 1, &end)) {
        *total = SIZE_MAX;
        return 0;
    }
    *total = end / alignment * alignment;
    return offset;
}

const char *needs_nothing(void *state, const struct operation *operation, void *prepared,
                          void *scratch)
{
    (void)state, (void)operation, (void)prepared, (void)scratch;
    return NULL;
}
