/* OP_ADD, OP_FILL. */
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
    const char *why = elementwise_plan(&s.elementwise, o, 2);
    if (why)
        return why;
    if (tensor_bytes(o->output) != tensor_bytes(o->input[0]) ||
        o->output.dtype != o->input[0].dtype || o->output.layout != o->input[0].layout)
        return "the sum is not like its first term";
    if (s.scalar && (!tensor_is_f32(&o->input[2]) || shape_count(o->input[2].shape) != 1))
        return "the factor is not one f32";
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

const struct kernel cpu_add = {add_create, cpu_prepare_nothing, add_run, free};

struct fill_state {
    int64_t count;
    float value;
};

static const char *fill_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    struct fill_state s = {shape_count(o->output.shape), o->fill.value};
    if (o->inputs || !tensor_is_f32(&o->output))
        return "a constant is f32 and reads nothing";
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

const struct kernel cpu_fill = {fill_create, cpu_prepare_nothing, fill_run, free};
