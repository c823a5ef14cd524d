/* OP_MIX_GRADIENT. */
#include "kernels/cuda/sum.cuh"

extern "C" {
#include "kernels/cuda/convolution.h"
}

struct mix_state {
    int64_t count;
    enum dtype dtype[3], output;
    float *gradient;    /* NULL: not wanted */
    const float *alpha; /* sigmoid(m) */
};

static __global__ void scale(struct values dy, const float *alpha, struct values to, int64_t count)
{
    float beta = 1.0f - *alpha;
    EACH(i, count)
    put(to, i, beta * get(dy, i));
}

static __global__ void __launch_bounds__(THREADS)
    sum_products(struct values dy, struct values y, struct values residual, int64_t count,
                 double *sums)
{
    double sum = 0.0;
    EACH(i, count)
    sum += (double)get(dy, i) * ((double)get(y, i) - (double)get(residual, i));
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(THREADS)
    finish(const double *sums, int64_t blocks, const float *alpha, float *gradient)
{
    double sum = array_sum(sums, blocks);
    if (threadIdx.x == 0)
        *gradient += (float)((double)(1.0f - *alpha) * sum);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_mix_gradient(o);
    if (why)
        return why;
    mix_state *s = new_state<mix_state>();
    if (!s)
        return "out of memory";
    s->count = shape_count(o->output.shape);
    s->gradient = o->gradient[0];
    for (int i = 0; i < (s->gradient ? 3 : 1); i++)
        s->dtype[i] = o->input[i].dtype;
    s->output = o->output.dtype;
    *needs = {};
    *in_place = 0;
    cuda_reserve(&needs->prepared, 1, sizeof(float));
    needs->scratch = (size_t)weight_bytes(&o->weight[0]);
    if (s->gradient)
        cuda_reserve(&needs->workspace, sum_blocks(s->count), sizeof(double));
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    mix_state *s = static_cast<mix_state *>(state);
    float *alpha = static_cast<float *>(prepared);
    s->alpha = alpha;
    const char *why = cuda_pack_vector(&o->weight[0], 1, DTYPE_F32, nullptr, alpha, scratch);
    return why ? why : convolution_alpha(alpha, alpha);
}

/* The sums come first, since the output may lie where dy is. */
static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const mix_state *s = static_cast<mix_state *>(state);
    double *sums = static_cast<double *>(workspace);
    unsigned blocks = sum_blocks(s->count);
    cudaStream_t stream = cuda_device()->stream;
    struct values dy = values_of(inputs[0], s->dtype[0]);
    if (s->gradient) {
        sum_products<<<blocks, THREADS, 0, stream>>>(dy, values_of(inputs[1], s->dtype[1]),
                                                     values_of(inputs[2], s->dtype[2]), s->count,
                                                     sums);
        finish<<<1, THREADS, 0, stream>>>(sums, blocks, s->alpha, s->gradient);
    }
    scale<<<blocks_for(s->count), THREADS, 0, stream>>>(dy, s->alpha, values_of(output, s->output),
                                                        s->count);
    return cuda_launched();
}

const struct kernel cuda_mix_gradient = {create, prepare, run, free};
