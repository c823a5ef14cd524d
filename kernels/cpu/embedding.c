/* OP_TIMESTEP_EMBEDDING: [cos(t·f), sin(t·f)], a zero last where c is odd. The frequencies and
 * their products with t are rounded to f32 like the authors', so that trained weights see the same
 * angles: at t = 1000 a rounding moves an angle by up to 3e-5. */
#include "kernels/cpu/cpu.h"

#include <math.h>
#include <stdlib.h>

static const double longest_period = 10000.0;

struct embedding_state {
    int64_t n, c;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_timestep_embedding(o);
    if (why)
        return why;
    struct embedding_state s = {.n = o->output.shape.n, .c = o->output.shape.c};
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct embedding_state *s = state;
    const float *timestep = inputs[0];
    float *to = output;
    int64_t half = s->c / 2;
    for (int64_t i = 0; i < half; i++) {
        float exponent = -(float)log(longest_period) * (float)i / (float)half;
        float frequency = (float)exp(exponent);
        for (int64_t n = 0; n < s->n; n++) {
            float angle = timestep[n] * frequency;
            to[n * s->c + i] = (float)cos(angle);
            to[n * s->c + half + i] = (float)sin(angle);
        }
    }
    if (s->c % 2)
        for (int64_t n = 0; n < s->n; n++)
            to[n * s->c + s->c - 1] = 0.0f;
    return NULL;
}

const struct kernel cpu_timestep_embedding = {create, needs_nothing, run, free};
