/* OP_TIMESTEP_EMBEDDING: [cos(t·f), sin(t·f)], a zero last where c is odd. Frequencies and angles
 * are rounded to f32 like the authors'. */
#include "kernels/cuda/device.cuh"

static __constant__ const double longest_period = 10000.0;

struct embedding_state {
    int64_t n, c;
};

static __global__ void embed(const float *timestep, float *to, int64_t n, int64_t c)
{
    int64_t half = c / 2;
    EACH(i, n * c)
    {
        int64_t sample = i / c, column = i % c, k = column % half;
        float exponent = -(float)log(longest_period) * (float)k / (float)half;
        float frequency = (float)exp((double)exponent);
        double angle = (double)__fmul_rn(timestep[sample], frequency);
        to[i] = column >= 2 * half ? 0.0f : (float)(column < half ? cos(angle) : sin(angle));
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_timestep_embedding(o);
    if (why)
        return why;
    embedding_state *s = new_state<embedding_state>();
    if (!s)
        return "out of memory";
    s->n = o->output.shape.n;
    s->c = o->output.shape.c;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const embedding_state *s = static_cast<embedding_state *>(state);
    embed<<<blocks_for(s->n * s->c), THREADS, 0, cuda_device()->stream>>>(
        static_cast<const float *>(inputs[0]), static_cast<float *>(output), s->n, s->c);
    return cuda_launched();
}

const struct kernel cuda_timestep_embedding = {create, needs_nothing, run, free};
