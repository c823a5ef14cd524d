/* OP_RESAMPLE: nearest ×2, or means of 2×2(×2); an element of the output a thread. */
#include "kernels/cuda/device.cuh"

struct resample_state {
    struct tensor in, out;
    bool up, depth;
    float factor; /* of copies, or of sums */
};

template <typename T>
static __global__ void resample_up(const T *from, T *to, struct shape out, int depth, float factor,
                                   int64_t count)
{
    EACH(i, count)
    {
        int64_t c = i % out.c, w = i / out.c % out.w, row = i / out.c / out.w;
        int64_t h = row % out.h, slice = row / out.h; /* over samples and depth */
        int64_t at = ((slice / depth * (out.h / 2) + h / 2) * (out.w / 2) + w / 2) * out.c + c;
        to[i] = from_f32<T>(factor * to_f32(from[at]));
    }
}

template <typename T>
static __global__ void resample_down(const T *from, T *to, struct shape out, int depth,
                                     float factor, int64_t count)
{
    EACH(i, count)
    {
        int64_t c = i % out.c, w = i / out.c % out.w, row = i / out.c / out.w;
        int64_t h = row % out.h, slice = row / out.h;
        float sum = 0.0f;
        for (int k = 0; k < 4 * depth; k++) {
            int64_t z = slice * depth + k / 4, y = 2 * h + k / 2 % 2, x = 2 * w + k % 2;
            sum += to_f32(from[((z * 2 * out.h + y) * 2 * out.w + x) * out.c + c]);
        }
        to[i] = from_f32<T>(factor * sum);
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_resample(o);
    if (why)
        return why;
    resample_state *s = new_state<resample_state>();
    if (!s)
        return "out of memory";
    float share = o->resample.resample_depth ? 0.125f : 0.25f;
    s->in = o->input[0];
    s->out = o->output;
    s->up = o->resample.resampling == RESAMPLE_UP;
    s->depth = o->resample.resample_depth;
    s->factor = s->up == o->resample.gradient ? share : 1.0f;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

template <typename T> static void launch(const resample_state *s, const void *from, void *to)
{
    int64_t count = shape_count(s->out.shape);
    (s->up ? resample_up<T>
           : resample_down<T>)<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        static_cast<const T *>(from), static_cast<T *>(to), s->out.shape, s->depth ? 2 : 1,
        s->factor, count);
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const resample_state *s = static_cast<resample_state *>(state);
    (s->out.dtype == DTYPE_BF16 ? launch<bf16> : launch<float>)(s, inputs[0], output);
    return cuda_launched();
}

const struct kernel cuda_resample = {create, needs_nothing, run, free};
