/* OP_CONCATENATE. */
#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

struct concatenate_state {
    int inputs, threads;
    int64_t pixels, bytes[OPERATION_INPUTS], all; /* bytes: of a pixel of each input, and of all */
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_concatenate(o);
    if (why)
        return why;
    struct concatenate_state s = {.inputs = o->inputs, .threads = omp_get_max_threads()};
    s.pixels = shape_count(o->output.shape) / o->output.shape.c;
    for (int i = 0; i < o->inputs; i++)
        s.all += s.bytes[i] = o->input[i].shape.c * dtype_size(o->input[i].dtype);
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct concatenate_state *s = state;
#pragma omp parallel for num_threads(cpu_team(s->threads, s->pixels * s->all / 4))
    for (int64_t pixel = 0; pixel < s->pixels; pixel++) {
        char *to = (char *)output + pixel * s->all;
        for (int i = 0; i < s->inputs; to += s->bytes[i++])
            memcpy(to, (const char *)inputs[i] + pixel * s->bytes[i], (size_t)s->bytes[i]);
    }
    return NULL;
}

const struct kernel cpu_concatenate = {create, needs_nothing, run, free};
