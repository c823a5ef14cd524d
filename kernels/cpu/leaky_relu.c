/* OP_LEAKY_RELU and OP_LEAKY_RELU_DATA: the sign of an output is that of its input, so the gradient
 * needs the output alone. */
#include "kernels/check_training.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>

struct leaky_relu_state {
    struct elementwise elementwise;
    float slope;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool gradient = o->kind == OP_LEAKY_RELU_DATA;
    struct leaky_relu_state s = {.slope = o->leaky_relu.slope};
    const char *why = check_leaky_relu(o);
    if (why)
        return why;
    elementwise_plan(&s.elementwise, o, gradient ? 2 : 1);
    *needs = (struct needs){0};
    *in_place = gradient ? 1 : 0;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static float block(const void *slope, const float *const *in, float *out, int64_t count)
{
    const float *a = in[1] ? in[1] : in[0];
    simd()->elementwise->leaky_relu(in[0], a, *(const float *)slope, out, count);
    return 0.0f;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct leaky_relu_state *s = state;
    elementwise_run(&s->elementwise, inputs, output, NULL, block, &s->slope);
    return NULL;
}

const struct kernel cpu_leaky_relu = {create, needs_nothing, run, free};
