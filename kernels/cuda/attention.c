/* OP_ATTENTION: maps of bf16 are multiplied by tensor cores with weights rounded to bf16, maps of
 * f32 in f32. */
#include "kernels/cuda/attention.h"

#include <limits.h>
#include <stdlib.h>

struct attention_state {
    struct attention_job job; /* without input and output */
    bool bf16;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    enum { GRID = 65535 };
    const char *why = check_attention(o);
    if (why)
        return why;
    struct shape in = o->input[0].shape;
    int64_t sets = o->attention.per_slice ? in.n * in.d : in.n;
    int64_t tokens = in.n * in.d / sets * in.h * in.w, width = in.c / 3 / o->attention.heads;
    if (sets > GRID || o->attention.heads > GRID || tokens > INT_MAX / 2 || width > INT_MAX / 2)
        return "the map is too large";
    if (o->input[0].dtype == DTYPE_BF16)
        why = attention_bf16_check(width);
    struct attention_state *s = why ? NULL : calloc(1, sizeof *s);
    if (!s)
        return why ? why : "out of memory";
    s->bf16 = o->input[0].dtype == DTYPE_BF16;
    s->job = (struct attention_job){.tokens = (int)tokens,
                                    .heads = o->attention.heads,
                                    .width = (int)width,
                                    .sets = (int)sets,
                                    .scale = o->attention.scale,
                                    .output_f32 = o->output.dtype == DTYPE_F32};
    *needs = (struct needs){.algorithm = s->bf16 ? "tensor cores" : NULL};
    *in_place = -1;
    *state = s;
    return NULL;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct attention_state *s = state;
    struct attention_job job = s->job;
    (void)workspace;
    job.input = inputs[0];
    job.output = output;
    return s->bf16 ? attention_bf16_run(&job) : attention_f32_run(&job);
}

const struct kernel cuda_attention = {create, needs_nothing, run, free};
