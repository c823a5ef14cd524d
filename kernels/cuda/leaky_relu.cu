/* OP_LEAKY_RELU and OP_LEAKY_RELU_DATA: the sign of an output is that of its input, so the gradient
 * needs the output alone. */
#include "kernels/cuda/device.cuh"

struct leaky_relu_state {
    int64_t count;
    int last; /* the input that is passed on; the sign is that of input 0 */
    enum dtype dtype[2], output;
    float slope;
};

static __global__ void pass(struct values gate, struct values from, float slope, struct values to,
                            int64_t count)
{
    EACH(i, count)
    {
        float x = get(from, i);
        put(to, i, get(gate, i) > 0.0f ? x : slope * x);
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_leaky_relu(o);
    if (why)
        return why;
    leaky_relu_state *s = new_state<leaky_relu_state>();
    if (!s)
        return "out of memory";
    s->count = shape_count(o->output.shape);
    s->last = o->kind == OP_LEAKY_RELU_DATA;
    s->dtype[0] = o->input[0].dtype;
    s->dtype[1] = o->input[s->last].dtype;
    s->output = o->output.dtype;
    s->slope = o->leaky_relu.slope;
    *needs = {};
    *in_place = s->last;
    *state = s;
    return nullptr;
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const leaky_relu_state *s = static_cast<leaky_relu_state *>(state);
    pass<<<blocks_for(s->count), THREADS, 0, cuda_device()->stream>>>(
        values_of(inputs[0], s->dtype[0]), values_of(inputs[s->last], s->dtype[1]), s->slope,
        values_of(output, s->output), s->count);
    return cuda_launched();
}

const struct kernel cuda_leaky_relu = {create, needs_nothing, run, free};
