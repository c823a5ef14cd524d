#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Simple operations that take about as long as waking a team of sleeping threads. */
static const int64_t team_threshold = 1 << 16;

size_t cpu_reserve(size_t *total, int64_t count, int64_t size)
{
    size_t offset = *total, bytes, end;
    if (offset == SIZE_MAX || __builtin_mul_overflow(count, size, &bytes) ||
        __builtin_add_overflow(offset, bytes, &end) ||
        __builtin_add_overflow(end, (size_t)ALIGNMENT - 1, &end)) {
        *total = SIZE_MAX;
        return 0;
    }
    *total = end / ALIGNMENT * ALIGNMENT;
    return offset;
}

void *cpu_keep(const void *state, size_t bytes)
{
    void *copy = malloc(bytes);
    if (copy)
        memcpy(copy, state, bytes);
    return copy;
}

int cpu_team(int planned, int64_t work)
{
    int most = omp_get_max_threads();
    if (work < team_threshold)
        return 1;
    return most < planned ? most : planned;
}

const char *cpu_prepare_nothing(void *state, const struct operation *operation, void *prepared,
                                void *scratch)
{
    (void)state, (void)operation, (void)prepared, (void)scratch;
    return NULL;
}
