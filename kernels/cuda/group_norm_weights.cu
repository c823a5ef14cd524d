/* OP_GROUP_NORM_WEIGHTS: what the sums of OP_GROUP_NORM_SUMS say of a norm's weight g and bias β
 * and, with z = (g·x' + β)·(1 + scale) + shift, of scale and shift:
 *   dg = Σ (1 + scale)·Σ dz·x'   dβ = Σ (1 + scale)·Σ dz, over the sets
 *   dscale = g·Σ dz·x' + β·Σ dz  dshift = Σ dz,           over the sets of a sample. */
#include "kernels/cuda/device.cuh"

struct weights_state {
    int64_t c, sets, sets_per_vector; /* sets that share a scale and shift */
    bool scale_shift;
    float *gradient[2];
    const float *affine; /* weight (c), bias (c) */
};

static __global__ void weigh(struct weights_state s, const float *sums, const float *vectors,
                             float *to)
{
    EACH(channel, s.c)
    {
        double weight = 0.0, bias = 0.0;
        for (int64_t first = 0; first < s.sets; first += s.sets_per_vector) {
            int64_t at = first / s.sets_per_vector * 2 * s.c + channel;
            double factor = s.scale_shift ? 1.0 + (double)vectors[at] : 1.0;
            double sum = 0.0, product = 0.0;
            for (int64_t set = first; set < first + s.sets_per_vector; set++) {
                sum += (double)sums[set * GROUP_NORM_SUMS * s.c + channel];
                product += (double)sums[(set * GROUP_NORM_SUMS + 1) * s.c + channel];
            }
            if (s.scale_shift) {
                to[at] = (float)((double)s.affine[channel] * product +
                                 (double)s.affine[s.c + channel] * sum);
                to[at + s.c] = (float)sum;
            }
            weight += factor * product;
            bias += factor * sum;
        }
        if (s.gradient[0])
            s.gradient[0][channel] += (float)weight;
        if (s.gradient[1])
            s.gradient[1][channel] += (float)bias;
        if (!s.scale_shift && channel == 0)
            *to = 0.0f;
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_group_norm_weights(o);
    if (why)
        return why;
    weights_state *s = new_state<weights_state>();
    if (!s)
        return "out of memory";
    s->c = o->input[0].shape.c / GROUP_NORM_SUMS;
    s->sets = o->input[0].shape.n;
    s->scale_shift = o->group_norm.scale_shift;
    s->sets_per_vector = s->scale_shift ? s->sets / o->input[1].shape.n : s->sets;
    s->gradient[0] = o->gradient[0];
    s->gradient[1] = o->gradient[1];
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->prepared, 2 * s->c, sizeof(float));
    needs->scratch = (size_t)s->c * sizeof(float);
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    weights_state *s = static_cast<weights_state *>(state);
    float *affine = static_cast<float *>(prepared);
    s->affine = affine;
    return cuda_pack_norm(o, s->c, affine, scratch);
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const weights_state *s = static_cast<weights_state *>(state);
    weigh<<<blocks_for(s->c), THREADS, 0, cuda_device()->stream>>>(
        *s, static_cast<const float *>(inputs[0]),
        static_cast<const float *>(s->scale_shift ? inputs[1] : nullptr),
        static_cast<float *>(output));
    return cuda_launched();
}

const struct kernel cuda_group_norm_weights = {create, prepare, run, free};
