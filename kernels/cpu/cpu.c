#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Simple operations that take about as long as waking a team of sleeping threads. */
static const int64_t team_threshold = 1 << 16;

size_t cpu_reserve(size_t *total, int64_t count, int64_t size)
{
    return needs_reserve(total, count, size, ALIGNMENT);
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
