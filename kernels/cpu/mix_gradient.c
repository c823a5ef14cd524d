/* OP_MIX_GRADIENT. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>

struct mix_state {
    struct elementwise elementwise;
    float *gradient;
    float beta; /* 1 − sigmoid(m) */
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct mix_state s = {.gradient = o->gradient[0]};
    const char *why = check_mix_gradient(o);
    if (why)
        return why;
    elementwise_plan(&s.elementwise, o, s.gradient ? 3 : 1);
    *needs = (struct needs){0};
    *in_place = 0;
    if (s.gradient)
        cpu_reserve(&needs->workspace, elementwise_blocks(&s.elementwise), sizeof(float));
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    (void)prepared, (void)scratch;
    struct mix_state *s = state;
    float factor;
    weight_to_f32(&o->weight[0], 0, 1, &factor);
    s->beta = 1.0f - 1.0f / (1.0f + expf(-factor));
    return NULL;
}

static float block(const void *beta, const float *const *in, float *out, int64_t count)
{
    const struct elementwise_simd *simd_table = simd()->elementwise;
    float sum = in[1] ? simd_table->product(in[0], in[1], in[2], count) : 0.0f;
    simd_table->scale(in[0], *(const float *)beta, out, count);
    return sum;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct mix_state *s = state;
    float *sums = s->gradient ? workspace : NULL;
    double sum = elementwise_run(&s->elementwise, inputs, output, sums, block, &s->beta);
    if (s->gradient)
        *s->gradient += (float)((double)s->beta * sum);
    return NULL;
}

const struct kernel cpu_mix_gradient = {create, prepare, run, free};
