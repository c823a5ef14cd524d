/* OP_GROUP_NORM_WEIGHTS: what the sums of OP_GROUP_NORM_SUMS say of a norm's weight g and bias β
 * and, with z = (g·x' + β)·(1 + scale) + shift, of scale and shift:
 *   dg = Σ (1 + scale)·Σ dz·x'   dβ = Σ (1 + scale)·Σ dz, over the sets
 *   dscale = g·Σ dz·x' + β·Σ dz  dshift = Σ dz,           over the sets of a sample. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

#include <stdlib.h>

struct weights_state {
    int64_t c, sets, sets_per_vector; /* sets that share a scale and shift */
    bool scale_shift;
    float *gradient[2];
    const float *affine; /* weight (c), bias (c) */
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const struct tensor *sums = &o->input[0], *vectors = &o->input[1];
    bool scale_shift = o->group_norm.scale_shift;
    const char *why = check_group_norm_weights(o);
    if (why)
        return why;
    struct weights_state s = {
        .c = sums->shape.c / GROUP_NORM_SUMS,
        .sets = sums->shape.n,
        .sets_per_vector = sums->shape.n,
        .scale_shift = scale_shift,
        .gradient = {o->gradient[0], o->gradient[1]},
    };
    if (scale_shift)
        s.sets_per_vector = s.sets / vectors->shape.n;
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->prepared, 2 * s.c, sizeof(float));
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    (void)scratch;
    struct weights_state *s = state;
    float *affine = prepared;
    weight_to_f32(&o->weight[0], 0, s->c, affine);
    weight_to_f32(&o->weight[1], 0, s->c, affine + s->c);
    s->affine = affine;
    return NULL;
}

static void add(const struct weights_state *s, int weight, int64_t channel, double value)
{
    if (s->gradient[weight])
        s->gradient[weight][channel] += (float)value;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct weights_state *s = state;
    const float *sums = inputs[0], *vectors = inputs[1];
    float *to = output;
    if (!s->scale_shift)
        *to = 0.0f;
    for (int64_t channel = 0; channel < s->c; channel++) {
        double weight = 0.0, bias = 0.0;
        for (int64_t first = 0; first < s->sets; first += s->sets_per_vector) {
            int64_t at = first / s->sets_per_vector * 2 * s->c + channel;
            double factor = s->scale_shift ? 1.0 + (double)vectors[at] : 1.0, sum = 0.0;
            double product = 0.0;
            for (int64_t set = first; set < first + s->sets_per_vector; set++) {
                sum += (double)sums[set * GROUP_NORM_SUMS * s->c + channel];
                product += (double)sums[(set * GROUP_NORM_SUMS + 1) * s->c + channel];
            }
            if (s->scale_shift) {
                to[at] = (float)(s->affine[channel] * product + s->affine[s->c + channel] * sum);
                to[at + s->c] = (float)sum;
            }
            weight += factor * product;
            bias += factor * sum;
        }
        add(s, 0, channel, weight);
        add(s, 1, channel, bias);
    }
    return NULL;
}

const struct kernel cpu_group_norm_weights = {create, prepare, run, free};
