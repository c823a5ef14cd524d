/* OP_ADD, OP_FILL. */
#include "kernels/check_training.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>

struct add_state {
    struct elementwise elementwise;
    float weight;
    bool scalar;
};

static const char *add_create(const struct operation *o, void **state, struct needs *needs,
                              int *in_place)
{
    struct add_state s = {.weight = o->add.weight, .scalar = o->inputs > 2};
    const char *why = check_add(o);
    if (why)
        return why;
    elementwise_plan(&s.elementwise, o, 2);
    *needs = (struct needs){0};
    *in_place = 0;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static float add_block(const void *factor, const float *const *in, float *out, int64_t count)
{
    simd()->elementwise->add(in[0], in[1], *(const float *)factor, out, count);
    return 0.0f;
}

static const char *add_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct add_state *s = state;
    float factor = s->scalar ? s->weight * *(const float *)inputs[2] : s->weight;
    elementwise_run(&s->elementwise, inputs, output, NULL, add_block, &factor);
    return NULL;
}

const struct kernel cpu_add = {add_create, needs_nothing, add_run, free};

struct fill_state {
    int64_t count;
    float value;
};

static const char *fill_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    struct fill_state s = {shape_count(o->output.shape), o->fill.value};
    const char *why = check_fill(o);
    if (why)
        return why;
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *fill_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)inputs, (void)workspace;
    const struct fill_state *s = state;
    for (int64_t i = 0; i < s->count; i++)
        ((float *)output)[i] = s->value;
    return NULL;
}

const struct kernel cpu_fill = {fill_create, needs_nothing, fill_run, free};
