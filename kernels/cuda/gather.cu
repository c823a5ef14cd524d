/* OP_GATHER and OP_SCATTER: slices lie one after another in every layout. A number beyond the last
 * slice is trouble. */
#include "kernels/cuda/device.cuh"

struct gather_state {
    int64_t slices, picked, count; /* of the whole; picked ones; elements of a slice */
    enum dtype dtype;
};

/* −1 beyond the last slice. */
static __device__ __forceinline__ int64_t number_of(const float *numbers, int64_t i, int64_t slices)
{
    return numbers[i] >= 0.0f && numbers[i] < (float)slices ? (int64_t)numbers[i] : -1;
}

static __global__ void gather(struct gather_state s, struct values from, const float *numbers,
                              struct values to, enum cuda_trouble *trouble)
{
    EACH(i, s.picked * s.count)
    {
        int64_t slice = number_of(numbers, i / s.count, s.slices);
        if (slice < 0)
            *trouble = TROUBLE_SLICE;
        put(to, i, slice < 0 ? 0.0f : get(from, slice * s.count + i % s.count));
    }
}

static __global__ void scatter(struct gather_state s, struct values from, const float *numbers,
                               struct values to, enum cuda_trouble *trouble)
{
    EACH(i, s.slices * s.count)
    {
        float sum = 0.0f;
        for (int64_t k = 0; k < s.picked; k++) {
            int64_t slice = number_of(numbers, k, s.slices);
            if (slice < 0)
                *trouble = TROUBLE_SLICE;
            else if (slice == i / s.count)
                sum += get(from, k * s.count + i % s.count);
        }
        put(to, i, sum);
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool reverse = o->kind == OP_SCATTER;
    const char *why = check_gather(o);
    if (why)
        return why;
    gather_state *s = new_state<gather_state>();
    if (!s)
        return "out of memory";
    struct shape whole = reverse ? o->output.shape : o->input[0].shape;
    s->slices = whole.d;
    s->picked = reverse ? o->input[0].shape.d : o->output.shape.d;
    s->count = whole.h * whole.w * whole.c;
    s->dtype = o->output.dtype;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *gather_run(void *state, const void *const *inputs, void *output, void *)
{
    const gather_state *s = static_cast<gather_state *>(state);
    gather<<<blocks_for(s->picked * s->count), THREADS, 0, cuda_device()->stream>>>(
        *s, values_of(inputs[0], s->dtype), static_cast<const float *>(inputs[1]),
        values_of(output, s->dtype), cuda_device()->trouble);
    return cuda_launched();
}

static const char *scatter_run(void *state, const void *const *inputs, void *output, void *)
{
    const gather_state *s = static_cast<gather_state *>(state);
    scatter<<<blocks_for(s->slices * s->count), THREADS, 0, cuda_device()->stream>>>(
        *s, values_of(inputs[0], s->dtype), static_cast<const float *>(inputs[1]),
        values_of(output, s->dtype), cuda_device()->trouble);
    return cuda_launched();
}

const struct kernel cuda_gather = {create, needs_nothing, gather_run, free};
const struct kernel cuda_scatter = {create, needs_nothing, scatter_run, free};
