#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

#include <stdlib.h>

enum { CHUNK = 1 << 14 };

struct cast_state {
    int64_t count;
    bool narrow; /* f32 to bf16, else bf16 to f32 */
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_cast(o);
    if (why)
        return why;
    struct cast_state s = {shape_count(o->output.shape), o->output.dtype == DTYPE_BF16};
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct cast_state *s = state;
    (void)workspace;
#pragma omp parallel for schedule(static) if (s->count > CHUNK)
    for (int64_t i = 0; i < s->count; i += CHUNK) {
        int64_t now = s->count - i < CHUNK ? s->count - i : CHUNK;
        if (s->narrow)
            f32_to_bf16((const float *)inputs[0] + i, (uint16_t *)output + i, now);
        else
            bf16_to_f32((const uint16_t *)inputs[0] + i, (float *)output + i, now);
    }
    return NULL;
}

const struct kernel cpu_cast = {create, needs_nothing, run, free};
