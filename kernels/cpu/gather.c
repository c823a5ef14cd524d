/* OP_GATHER and OP_SCATTER: slices lie one after another in every layout. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

struct gather_state {
    int64_t slices, picked, count; /* of the whole; picked ones; elements of a slice */
    enum dtype dtype;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool scatter = o->kind == OP_SCATTER;
    const struct tensor *whole = scatter ? &o->output : &o->input[0];
    const struct tensor *part = scatter ? &o->input[0] : &o->output;
    const char *why = check_gather(o);
    if (why)
        return why;
    struct shape a = whole->shape;
    struct gather_state s = {a.d, part->shape.d, a.h * a.w * a.c, whole->dtype};
    *needs = (struct needs){0};
    *in_place = -1;
    if (scatter && s.dtype == DTYPE_BF16)
        cpu_reserve(&needs->workspace, 2 * s.count, sizeof(float));
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

/* −1 beyond the last slice. */
static int64_t number_of(const struct gather_state *s, const float *numbers, int64_t i)
{
    return numbers[i] >= 0.0f && numbers[i] < (float)s->slices ? (int64_t)numbers[i] : -1;
}

static const char *gather_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct gather_state *s = state;
    size_t bytes = (size_t)(s->count * dtype_size(s->dtype));
    for (int64_t i = 0; i < s->picked; i++) {
        int64_t slice = number_of(s, inputs[1], i);
        if (slice < 0)
            return "a number beyond the last slice";
        memcpy((char *)output + (size_t)i * bytes, (const char *)inputs[0] + (size_t)slice * bytes,
               bytes);
    }
    return NULL;
}

/* Add a slice of dy to one of dx, through f32. */
static void add_slice(const struct gather_state *s, const void *from, int64_t i, void *to,
                      int64_t slice, float *buffer)
{
    const float *dy = activation_to_f32(from, s->dtype, i * s->count, s->count, buffer);
    if (s->dtype == DTYPE_F32) {
        float *dx = (float *)to + slice * s->count;
        simd()->elementwise->add(dx, dy, 1.0f, dx, s->count);
        return;
    }
    uint16_t *dx = (uint16_t *)to + slice * s->count;
    float *sum = buffer + s->count;
    bf16_to_f32(dx, sum, s->count);
    simd()->elementwise->add(sum, dy, 1.0f, sum, s->count);
    f32_to_bf16(sum, dx, s->count);
}

static const char *scatter_run(void *state, const void *const *inputs, void *output,
                               void *workspace)
{
    const struct gather_state *s = state;
    memset(output, 0, (size_t)(s->slices * s->count * dtype_size(s->dtype)));
    for (int64_t i = 0; i < s->picked; i++) {
        int64_t slice = number_of(s, inputs[1], i);
        if (slice < 0)
            return "a number beyond the last slice";
        add_slice(s, inputs[0], i, output, slice, workspace);
    }
    return NULL;
}

const struct kernel cpu_gather = {create, needs_nothing, gather_run, free};
const struct kernel cpu_scatter = {create, needs_nothing, scatter_run, free};
