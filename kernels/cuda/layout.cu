/* OP_TO_CHANNELS_LAST and OP_TO_SLICE_MAJOR: (c, h·w) slices to (h·w, c) and back. The few channels
 * of a stream lie in few cache lines, so neither side is staged. */
#include "kernels/cuda/device.cuh"

struct layout_state {
    int inputs;
    struct tensor input[OPERATION_INPUTS], output;
    int64_t first_channel; /* to slice-major: of the input */
    int64_t slices, pixels;
};

/* c channels of slices, to channels first … of `all`. */
template <typename From, typename To>
static __global__ void to_channels_last(const From *from, To *to, int64_t pixels, int64_t c,
                                        int64_t first, int64_t all, int64_t count)
{
    EACH(i, count)
    {
        int64_t channel = i % c, pixel = i / c % pixels, slice = i / c / pixels;
        to[(slice * pixels + pixel) * all + first + channel] =
            from_f32<To>(to_f32(from[(slice * c + channel) * pixels + pixel]));
    }
}

/* c channels from `first` on of `all`, to slices. */
template <typename From>
static __global__ void to_slice_major(const From *from, float *to, int64_t pixels, int64_t c,
                                      int64_t first, int64_t all, int64_t count)
{
    EACH(i, count)
    {
        int64_t pixel = i % pixels, channel = i / pixels % c, slice = i / pixels / c;
        to[i] = to_f32(from[(slice * pixels + pixel) * all + first + channel]);
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    layout_state *s = new_state<layout_state>();
    if (!s)
        return "out of memory";
    s->inputs = o->inputs;
    for (int i = 0; i < o->inputs; i++)
        s->input[i] = o->input[i];
    s->output = o->output;
    s->slices = o->output.shape.n * o->output.shape.d;
    s->pixels = o->output.shape.h * o->output.shape.w;
    if (o->kind == OP_TO_SLICE_MAJOR)
        s->first_channel = o->to_slice_major.first_channel;
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *to_channels_last_create(const struct operation *o, void **state,
                                           struct needs *needs, int *in_place)
{
    const char *why = check_to_channels_last(o);
    return why ? why : create(o, state, needs, in_place);
}

static const char *to_slice_major_create(const struct operation *o, void **state,
                                         struct needs *needs, int *in_place)
{
    const char *why = check_to_slice_major(o);
    return why ? why : create(o, state, needs, in_place);
}

template <typename From, typename To>
static void launch_to_channels_last(const layout_state *s, int input, const void *from, void *to,
                                    int64_t first)
{
    int64_t count = shape_count(s->input[input].shape);
    to_channels_last<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        static_cast<const From *>(from), static_cast<To *>(to), s->pixels, s->input[input].shape.c,
        first, s->output.shape.c, count);
}

static const char *to_channels_last_run(void *state, const void *const *inputs, void *output,
                                        void *)
{
    const layout_state *s = static_cast<layout_state *>(state);
    int64_t first = 0;
    for (int i = 0; i < s->inputs; i++) {
        bool bytes = s->input[i].dtype == DTYPE_U8;
        if (s->output.dtype == DTYPE_BF16)
            (bytes ? launch_to_channels_last<unsigned char, bf16>
                   : launch_to_channels_last<float, bf16>)(s, i, inputs[i], output, first);
        else
            (bytes ? launch_to_channels_last<unsigned char, float>
                   : launch_to_channels_last<float, float>)(s, i, inputs[i], output, first);
        first += s->input[i].shape.c;
    }
    return cuda_launched();
}

template <typename From>
static void launch_to_slice_major(const layout_state *s, const void *from, void *to)
{
    int64_t count = shape_count(s->output.shape);
    to_slice_major<<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        static_cast<const From *>(from), static_cast<float *>(to), s->pixels, s->output.shape.c,
        s->first_channel, s->input[0].shape.c, count);
}

static const char *to_slice_major_run(void *state, const void *const *inputs, void *output, void *)
{
    const layout_state *s = static_cast<layout_state *>(state);
    (s->input[0].dtype == DTYPE_BF16 ? launch_to_slice_major<bf16>
                                     : launch_to_slice_major<float>)(s, inputs[0], output);
    return cuda_launched();
}

const struct kernel cuda_to_channels_last = {to_channels_last_create, needs_nothing,
                                             to_channels_last_run, free};
const struct kernel cuda_to_slice_major = {to_slice_major_create, needs_nothing,
                                           to_slice_major_run, free};
