/* OP_TO_CHANNELS_LAST and OP_TO_SLICE_MAJOR: transposing (c, h·w) slices to (h·w, c) and back. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

#include <stdlib.h>

/* Pixels transposed at a time: few enough for the strided side to stay in the first cache. */
enum { BLOCK_PIXELS = 64 };

struct layout_state {
    int inputs;
    struct tensor input[OPERATION_INPUTS], output;
    int64_t first_channel;          /* to slice-major: of the input */
    int64_t slices, pixels, blocks; /* n·d, h·w, blocks of pixels of a slice */
    int threads;
};

static void set_sizes(struct layout_state *s, const struct operation *o)
{
    s->first_channel = 0;
    s->inputs = o->inputs;
    for (int i = 0; i < o->inputs; i++)
        s->input[i] = o->input[i];
    s->output = o->output;
    s->slices = o->output.shape.n * o->output.shape.d;
    s->pixels = o->output.shape.h * o->output.shape.w;
    s->blocks = (s->pixels + BLOCK_PIXELS - 1) / BLOCK_PIXELS;
    s->threads = omp_get_max_threads();
}

static const char *keep(const struct layout_state *s, void **state, struct needs *needs,
                        int *in_place)
{
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(s, sizeof *s);
    return *state ? NULL : "out of memory";
}

static const char *to_channels_last_create(const struct operation *o, void **state,
                                           struct needs *needs, int *in_place)
{
    const char *why = check_to_channels_last(o);
    if (why)
        return why;
    struct layout_state s;
    set_sizes(&s, o);
    return keep(&s, state, needs, in_place);
}

/* A channel of a block: pixels one after another, to every c-th element of `to`. */
static void scatter(const void *from, enum dtype from_type, void *to, enum dtype to_type,
                    int64_t first, int64_t offset, int64_t count, int64_t c)
{
    float values[BLOCK_PIXELS] = {0};
    uint16_t rounded[BLOCK_PIXELS];
    for (int64_t i = 0; i < count; i++)
        values[i] = from_type == DTYPE_U8 ? (float)((const uint8_t *)from)[first + i]
                                          : ((const float *)from)[first + i];
    if (to_type == DTYPE_F32) {
        for (int64_t i = 0; i < count; i++)
            ((float *)to)[offset + i * c] = values[i];
        return;
    }
    f32_to_bf16(values, rounded, count);
    for (int64_t i = 0; i < count; i++)
        ((uint16_t *)to)[offset + i * c] = rounded[i];
}

static const char *to_channels_last_run(void *state, const void *const *inputs, void *output,
                                        void *workspace)
{
    (void)workspace;
    const struct layout_state *s = state;
    int64_t c = s->output.shape.c;
#pragma omp parallel for num_threads(cpu_team(s->threads, shape_count(s->output.shape)))
    for (int64_t unit = 0; unit < s->slices * s->blocks; unit++) {
        int64_t slice = unit / s->blocks, first = unit % s->blocks * BLOCK_PIXELS;
        int64_t count = s->pixels - first < BLOCK_PIXELS ? s->pixels - first : BLOCK_PIXELS;
        int64_t to = (slice * s->pixels + first) * c;
        for (int i = 0; i < s->inputs; i++)
            for (int64_t j = 0; j < s->input[i].shape.c; j++)
                scatter(inputs[i], s->input[i].dtype, output, s->output.dtype,
                        (slice * s->input[i].shape.c + j) * s->pixels + first, to++, count, c);
    }
    return NULL;
}

static const char *to_slice_major_create(const struct operation *o, void **state,
                                         struct needs *needs, int *in_place)
{
    const char *why = check_to_slice_major(o);
    if (why)
        return why;
    struct layout_state s;
    set_sizes(&s, o);
    s.first_channel = o->to_slice_major.first_channel;
    return keep(&s, state, needs, in_place);
}

/* The way back: every c-th element of `from`, to pixels one after another. */
static void gather(const void *from, enum dtype from_type, int64_t offset, int64_t c, float *to,
                   int64_t count)
{
    uint16_t values[BLOCK_PIXELS];
    if (from_type == DTYPE_F32) {
        for (int64_t i = 0; i < count; i++)
            to[i] = ((const float *)from)[offset + i * c];
        return;
    }
    for (int64_t i = 0; i < count; i++)
        values[i] = ((const uint16_t *)from)[offset + i * c];
    bf16_to_f32(values, to, count);
}

static const char *to_slice_major_run(void *state, const void *const *inputs, void *output,
                                      void *workspace)
{
    (void)workspace;
    const struct layout_state *s = state;
    int64_t c = s->output.shape.c, all = s->input[0].shape.c;
#pragma omp parallel for num_threads(cpu_team(s->threads, shape_count(s->output.shape)))
    for (int64_t unit = 0; unit < s->slices * s->blocks; unit++) {
        int64_t slice = unit / s->blocks, first = unit % s->blocks * BLOCK_PIXELS;
        int64_t count = s->pixels - first < BLOCK_PIXELS ? s->pixels - first : BLOCK_PIXELS;
        int64_t from = (slice * s->pixels + first) * all + s->first_channel;
        for (int64_t j = 0; j < c; j++)
            gather(inputs[0], s->input[0].dtype, from + j, all,
                   (float *)output + (slice * c + j) * s->pixels + first, count);
    }
    return NULL;
}

const struct kernel cpu_to_channels_last = {to_channels_last_create, needs_nothing,
                                            to_channels_last_run, free};
const struct kernel cpu_to_slice_major = {to_slice_major_create, needs_nothing,
                                          to_slice_major_run, free};
