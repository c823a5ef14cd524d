/* OP_ADAPTIVE_WEIGHT. */
#include "kernels/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double least_norm = 1e-4;

struct adaptive_state {
    int64_t count[2];
    float *gradient[2], limit;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct adaptive_state s = {.limit = o->adaptive_weight.limit};
    if (o->weights != 2 || !o->gradient[0] || !o->gradient[1] || !tensor_is_f32(&o->output) ||
        shape_count(o->output.shape) != 1)
        return "two gradients make one f32";
    for (int k = 0; k < 2; k++) {
        s.gradient[k] = o->gradient[k];
        s.count[k] = 1;
        for (int i = 0; i < o->weight[k].rank; i++)
            s.count[k] *= o->weight[k].shape[i];
    }
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)inputs, (void)workspace;
    const struct adaptive_state *s = state;
    double norm[2] = {0.0, 0.0};
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < s->count[k]; i++)
            norm[k] += (double)s->gradient[k][i] * (double)s->gradient[k][i];
        memset(s->gradient[k], 0, (size_t)s->count[k] * sizeof(float));
    }
    *(float *)output = (float)fmin(sqrt(norm[0]) / (sqrt(norm[1]) + least_norm), s->limit);
    return NULL;
}

const struct kernel cpu_adaptive_weight = {create, cpu_prepare_nothing, run, free};
