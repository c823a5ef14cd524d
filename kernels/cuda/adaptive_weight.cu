/* OP_ADAPTIVE_WEIGHT: the gradients are those of one layer, and one block is enough. */
#include "kernels/cuda/sum.cuh"

static __constant__ const double least_norm = 1e-4;

struct adaptive_state {
    float *gradient[2], limit;
    int64_t count[2];
};

static __device__ double norm_of(float *x, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += THREADS) {
        sum += (double)x[i] * (double)x[i];
        x[i] = 0.0f;
    }
    return sqrt(block_sum(sum));
}

static __global__ void __launch_bounds__(THREADS) weigh(struct adaptive_state s, float *output)
{
    double first = norm_of(s.gradient[0], s.count[0]), second = norm_of(s.gradient[1], s.count[1]);
    if (threadIdx.x == 0)
        *output = (float)fmin(first / (second + least_norm), (double)s.limit);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_adaptive_weight(o);
    if (why)
        return why;
    adaptive_state *s = new_state<adaptive_state>();
    if (!s)
        return "out of memory";
    for (int k = 0; k < 2; k++) {
        s->gradient[k] = o->gradient[k];
        s->count[k] = weight_elements(&o->weight[k]);
    }
    s->limit = o->adaptive_weight.limit;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *run(void *state, const void *const *, void *output, void *)
{
    const adaptive_state *s = static_cast<adaptive_state *>(state);
    weigh<<<1, THREADS, 0, cuda_device()->stream>>>(*s, static_cast<float *>(output));
    return cuda_launched();
}

const struct kernel cuda_adaptive_weight = {create, needs_nothing, run, free};
