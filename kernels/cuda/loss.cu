/* OP_LOSS and OP_LOSS_DATA. */
#include "kernels/cuda/sum.cuh"

struct loss_state {
    struct loss attributes;
    int64_t count;
    int terms; /* inputs before dL: x, and t where the loss has a target */
    enum dtype dtype[2], output;
};

static __device__ __forceinline__ float term(enum loss_kind kind, float x, float t)
{
    switch (kind) {
    case LOSS_L1:
        return fabsf(x - t);
    case LOSS_L2:
        return (x - t) * (x - t);
    case LOSS_MEAN:
        return x;
    case LOSS_HINGE_REAL:
        return x < 1.0f ? 1.0f - x : 0.0f;
    default:
        return x > -1.0f ? 1.0f + x : 0.0f;
    }
}

static __device__ __forceinline__ float slope(enum loss_kind kind, float x, float t)
{
    switch (kind) {
    case LOSS_L1:
        return (x > t ? 1.0f : 0.0f) - (x < t ? 1.0f : 0.0f);
    case LOSS_L2:
        return 2.0f * (x - t);
    case LOSS_MEAN:
        return 1.0f;
    case LOSS_HINGE_REAL:
        return x < 1.0f ? -1.0f : 0.0f;
    default:
        return x > -1.0f ? 1.0f : 0.0f;
    }
}

/* Without a target t is x. */
static __global__ void __launch_bounds__(THREADS)
    sum_terms(enum loss_kind kind, struct values x, struct values t, int64_t count, double *sums)
{
    double sum = 0.0;
    EACH(i, count)
    sum += (double)term(kind, get(x, i), get(t, i));
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(THREADS)
    finish(const double *sums, int64_t blocks, double factor, float *output)
{
    double sum = array_sum(sums, blocks);
    if (threadIdx.x == 0)
        *output = (float)(factor * sum);
}

static __global__ void write_slopes(enum loss_kind kind, struct values x, struct values t,
                                    const float *gradient, double share, struct values to,
                                    int64_t count)
{
    float factor = (float)((double)*gradient * share);
    EACH(i, count)
    put(to, i, factor * slope(kind, get(x, i), get(t, i)));
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool gradient = o->kind == OP_LOSS_DATA;
    const char *why = check_loss(o);
    if (why)
        return why;
    loss_state *s = new_state<loss_state>();
    if (!s)
        return "out of memory";
    s->attributes = o->loss;
    s->terms = loss_terms(o->loss.kind);
    s->count = shape_count(o->input[0].shape);
    for (int i = 0; i < 2; i++)
        s->dtype[i] = o->input[i < s->terms ? i : 0].dtype;
    s->output = o->output.dtype;
    *needs = {};
    *in_place = gradient ? 0 : -1;
    if (!gradient)
        cuda_reserve(&needs->workspace, sum_blocks(s->count), sizeof(double));
    *state = s;
    return nullptr;
}

static struct values term_of(const loss_state *s, const void *const *inputs, int i)
{
    return values_of(inputs[i < s->terms ? i : 0], s->dtype[i]);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const loss_state *s = static_cast<loss_state *>(state);
    double *sums = static_cast<double *>(workspace);
    unsigned blocks = sum_blocks(s->count);
    cudaStream_t stream = cuda_device()->stream;
    sum_terms<<<blocks, THREADS, 0, stream>>>(s->attributes.kind, term_of(s, inputs, 0),
                                              term_of(s, inputs, 1), s->count, sums);
    finish<<<1, THREADS, 0, stream>>>(sums, blocks, (double)s->attributes.weight / (double)s->count,
                                      static_cast<float *>(output));
    return cuda_launched();
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *)
{
    const loss_state *s = static_cast<loss_state *>(state);
    write_slopes<<<blocks_for(s->count), THREADS, 0, cuda_device()->stream>>>(
        s->attributes.kind, term_of(s, inputs, 0), term_of(s, inputs, 1),
        static_cast<const float *>(inputs[s->terms]),
        (double)s->attributes.weight / (double)s->count, values_of(output, s->output), s->count);
    return cuda_launched();
}

const struct kernel cuda_loss = {create, needs_nothing, run, free};
const struct kernel cuda_loss_data = {create, needs_nothing, data_run, free};
