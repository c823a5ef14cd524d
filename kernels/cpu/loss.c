/* OP_LOSS and OP_LOSS_DATA. */
#include "kernels/check_training.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>

struct loss_state {
    struct elementwise elementwise;
    struct loss attributes;
    int terms; /* inputs before dL: x, and t where the loss has a target */
};

/* One run of one block. */
struct block {
    enum loss_kind kind;
    float factor;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool gradient = o->kind == OP_LOSS_DATA;
    struct loss_state s = {.attributes = o->loss, .terms = loss_terms(o->loss.kind)};
    const char *why = check_loss(o);
    if (why)
        return why;
    elementwise_plan(&s.elementwise, o, s.terms);
    *needs = (struct needs){0};
    *in_place = gradient ? 0 : -1;
    if (!gradient)
        cpu_reserve(&needs->workspace, elementwise_blocks(&s.elementwise), sizeof(float));
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

/* Losses without a target read x twice and ignore it once. */
static const float *target(const float *const *in)
{
    return in[1] ? in[1] : in[0];
}

static float sum_block(const void *context, const float *const *in, float *out, int64_t count)
{
    (void)out;
    const struct block *b = context;
    return simd()->elementwise->loss(b->kind, in[0], target(in), count);
}

static float slope_block(const void *context, const float *const *in, float *out, int64_t count)
{
    const struct block *b = context;
    simd()->elementwise->loss_slope(b->kind, in[0], target(in), b->factor, out, count);
    return 0.0f;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct loss_state *s = state;
    struct block block = {.kind = s->attributes.kind};
    double sum = elementwise_run(&s->elementwise, inputs, NULL, workspace, sum_block, &block);
    *(float *)output = (float)(s->attributes.weight * sum / (double)s->elementwise.count);
    return NULL;
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct loss_state *s = state;
    double gradient = *(const float *)inputs[s->terms];
    struct block block = {
        s->attributes.kind,
        (float)(gradient * s->attributes.weight / (double)s->elementwise.count),
    };
    elementwise_run(&s->elementwise, inputs, output, NULL, slope_block, &block);
    return NULL;
}

const struct kernel cpu_loss = {create, needs_nothing, run, free};
const struct kernel cpu_loss_data = {create, needs_nothing, data_run, free};
