/* OP_MAX_POOL and OP_MAX_POOL_DATA: a window of a channel a thread. */
#include "kernels/cuda/device.cuh"

enum { WINDOW = 4 };

struct max_pool_state {
    struct shape large, small;
    enum dtype dtype;
};

/* The element of the large map at position k of the window of element i of the small one. */
static __device__ __forceinline__ int64_t large_at(const struct shape &large,
                                                   const struct shape &small, int64_t i, int k)
{
    int64_t c = i % small.c, w = i / small.c % small.w, row = i / small.c / small.w;
    int64_t slice = row / small.h, h = row % small.h;
    return ((slice * large.h + 2 * h + k / 2) * large.w + 2 * w + k % 2) * large.c + c;
}

static __global__ void pool(struct values x, struct values to, struct shape large,
                            struct shape small, int64_t count)
{
    EACH(i, count)
    {
        float most = get(x, large_at(large, small, i, 0));
        for (int k = 1; k < WINDOW; k++)
            most = fmaxf(most, get(x, large_at(large, small, i, k)));
        put(to, i, most);
    }
}

/* dy to the first of the largest, 0 to the others. */
static __global__ void share(struct values x, struct values dy, struct values to,
                             struct shape large, struct shape small, int64_t count)
{
    EACH(i, count)
    {
        int first = 0;
        float most = get(x, large_at(large, small, i, 0));
        for (int k = 1; k < WINDOW; k++) {
            float value = get(x, large_at(large, small, i, k));
            first = value > most ? k : first;
            most = fmaxf(most, value);
        }
        for (int k = 0; k < WINDOW; k++)
            put(to, large_at(large, small, i, k), k == first ? get(dy, i) : 0.0f);
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_max_pool(o);
    if (why)
        return why;
    max_pool_state *s = new_state<max_pool_state>();
    if (!s)
        return "out of memory";
    s->large = o->input[0].shape;
    s->small = o->kind == OP_MAX_POOL_DATA ? o->input[1].shape : o->output.shape;
    s->dtype = o->input[0].dtype;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const max_pool_state *s = static_cast<max_pool_state *>(state);
    int64_t count = shape_count(s->small);
    pool<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        values_of(inputs[0], s->dtype), values_of(output, s->dtype), s->large, s->small, count);
    return cuda_launched();
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *)
{
    const max_pool_state *s = static_cast<max_pool_state *>(state);
    int64_t count = shape_count(s->small);
    cudaStream_t stream = cuda_device()->stream;
    cudaError_t status = cudaSuccess;
    if (s->large.h % 2 || s->large.w % 2) /* the row or column left out */
        status = cudaMemsetAsync(output, 0, (size_t)(shape_count(s->large) * dtype_size(s->dtype)),
                                 stream);
    if (status != cudaSuccess)
        return cuda_error(status);
    share<<<blocks_for(count), THREADS, 0, stream>>>(
        values_of(inputs[0], s->dtype), values_of(inputs[1], s->dtype), values_of(output, s->dtype),
        s->large, s->small, count);
    return cuda_launched();
}

const struct kernel cuda_max_pool = {create, needs_nothing, run, free};
const struct kernel cuda_max_pool_data = {create, needs_nothing, data_run, free};
