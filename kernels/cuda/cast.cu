/* OP_CAST. */
#include "kernels/cuda/device.cuh"

struct cast_state {
    int64_t count;
    bool narrow; /* f32 to bf16, else bf16 to f32 */
};

template <typename From, typename To>
static __global__ void cast_kernel(const From *from, To *to, int64_t count)
{
    EACH(i, count)
    to[i] = from_f32<To>(to_f32(from[i]));
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_cast(o);
    if (why)
        return why;
    cast_state *s = new_state<cast_state>();
    if (!s)
        return "out of memory";
    s->count = shape_count(o->output.shape);
    s->narrow = o->output.dtype == DTYPE_BF16;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const cast_state *s = static_cast<cast_state *>(state);
    unsigned blocks = blocks_for(s->count);
    if (s->narrow)
        cast_kernel<<<blocks, THREADS, 0, cuda_device()->stream>>>(
            static_cast<const float *>(inputs[0]), static_cast<bf16 *>(output), s->count);
    else
        cast_kernel<<<blocks, THREADS, 0, cuda_device()->stream>>>(
            static_cast<const bf16 *>(inputs[0]), static_cast<float *>(output), s->count);
    return cuda_launched();
}

const struct kernel cuda_cast = {create, needs_nothing, run, free};
