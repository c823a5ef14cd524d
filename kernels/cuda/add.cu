/* OP_ADD and OP_FILL. */
#include "kernels/cuda/device.cuh"

struct add_state {
    int64_t count;
    enum dtype dtype[2], output;
    float weight;
    bool scalar;
};

static __global__ void add_kernel(struct values a, struct values b, const float *scalar,
                                  float weight, struct values to, int64_t count)
{
    float factor = scalar ? weight * *scalar : weight;
    EACH(i, count)
    put(to, i, fmaf(factor, get(b, i), get(a, i)));
}

static const char *add_create(const struct operation *o, void **state, struct needs *needs,
                              int *in_place)
{
    const char *why = check_add(o);
    if (why)
        return why;
    add_state *s = new_state<add_state>();
    if (!s)
        return "out of memory";
    s->count = shape_count(o->output.shape);
    s->dtype[0] = o->input[0].dtype;
    s->dtype[1] = o->input[1].dtype;
    s->output = o->output.dtype;
    s->weight = o->add.weight;
    s->scalar = o->inputs > 2;
    *needs = {};
    *in_place = 0;
    *state = s;
    return nullptr;
}

static const char *add_run(void *state, const void *const *inputs, void *output, void *)
{
    const add_state *s = static_cast<add_state *>(state);
    const float *scalar = s->scalar ? static_cast<const float *>(inputs[2]) : nullptr;
    add_kernel<<<blocks_for(s->count), THREADS, 0, cuda_device()->stream>>>(
        values_of(inputs[0], s->dtype[0]), values_of(inputs[1], s->dtype[1]), scalar, s->weight,
        values_of(output, s->output), s->count);
    return cuda_launched();
}

const struct kernel cuda_add = {add_create, needs_nothing, add_run, free};

struct fill_state {
    int64_t count;
    float value;
};

static __global__ void fill_kernel(float *to, float value, int64_t count)
{
    EACH(i, count)
    to[i] = value;
}

static const char *fill_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    const char *why = check_fill(o);
    if (why)
        return why;
    fill_state *s = new_state<fill_state>();
    if (!s)
        return "out of memory";
    s->count = shape_count(o->output.shape);
    s->value = o->fill.value;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *fill_run(void *state, const void *const *, void *output, void *)
{
    const fill_state *s = static_cast<fill_state *>(state);
    fill_kernel<<<blocks_for(s->count), THREADS, 0, cuda_device()->stream>>>(
        static_cast<float *>(output), s->value, s->count);
    return cuda_launched();
}

const struct kernel cuda_fill = {fill_create, needs_nothing, fill_run, free};
