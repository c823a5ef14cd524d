/* OP_ADAPTIVE_WEIGHT. */
#include "kernels/check_training.h"
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
    const char *why = check_adaptive_weight(o);
    if (why)
        return why;
    struct adaptive_state s = {.limit = o->adaptive_weight.limit};
    for (int k = 0; k < 2; k++) {
        s.gradient[k] = o->gradient[k];
        s.count[k] = weight_elements(&o->weight[k]);
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

const struct kernel cpu_adaptive_weight = {create, needs_nothing, run, free};
