/* OP_CONVOLUTION_PAIR: the first convolution's slices go to a ring that holds what a batch of the
 * second's slices sees. */
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"

#include <stdlib.h>

/* Outputs of the second convolution that are computed together: enough for many threads. */
static const int64_t batch_outputs = 1 << 14;

struct convolution_pair_state {
    struct convolution_state first, second; /* of one sample */
    int64_t samples, batch;                 /* batch: slices of the second */
    size_t second_prepared;                 /* offset in the prepared block */
    size_t desks;                           /* offset in the workspace, behind the ring */
};

/* Convolution 0 or 1 of the pair, on one sample. */
static struct operation half_of(const struct operation *o, int half)
{
    struct operation h = convolution_half(o, half);
    h.input[0].shape.n = h.output.shape.n = 1;
    return h;
}

static const char *open_halves(struct convolution_pair_state *s, const struct operation *o,
                               struct needs *needs)
{
    struct needs needs_of[2];
    for (int half = 0; half < 2; half++) {
        struct operation h = half_of(o, half);
        const char *why =
            convolution_open(half ? &s->second : &s->first, &h, true, &needs_of[half]);
        if (why)
            return why;
    }
    struct shape between = s->second.operation.input[0].shape, out = o->output.shape;
    const struct convolution *c = &o->pair[1];
    s->batch = convolution_at_most((batch_outputs - 1) / (out.h * out.w) + 1, out.d);
    int64_t seen = (s->batch - 1) * c->stride[AXIS_D] + c->kernel[AXIS_D];
    s->first.out_slices = s->second.in_slices = convolution_at_most(seen, between.d);
    *needs = (struct needs){0};
    cpu_reserve(&needs->prepared, (int64_t)needs_of[0].prepared, 1);
    s->second_prepared = cpu_reserve(&needs->prepared, (int64_t)needs_of[1].prepared, 1);
    needs->scratch = needs_of[needs_of[1].scratch > needs_of[0].scratch].scratch;
    cpu_reserve(&needs->workspace, s->second.in_slices,
                convolution_slice_bytes(&s->second.operation.input[0]));
    s->desks =
        cpu_reserve(&needs->workspace,
                    (int64_t)needs_of[needs_of[1].workspace > needs_of[0].workspace].workspace, 1);
    return NULL;
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct convolution_pair_state s = {.samples = o->output.shape.n};
    const char *why = check_convolution_pair(o);
    if (!why)
        why = open_halves(&s, o, needs);
    if (why)
        return why;
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct convolution_pair_state *s = state;
    s->first.operation = half_of(o, 0);
    s->second.operation = half_of(o, 1);
    convolution_prepare(&s->first, prepared, scratch);
    convolution_prepare(&s->second, (char *)prepared + s->second_prepared, scratch);
    return NULL;
}

/* Slices of the first convolution that are there once slices up to z of the second can be made. */
static int64_t needed(const struct convolution_pair_state *s, int64_t z)
{
    const struct convolution *c = &s->second.operation.convolution;
    int64_t last = z * c->stride[AXIS_D] - c->pad_front[AXIS_D] + c->kernel[AXIS_D] - 1;
    int64_t all = s->second.operation.input[0].shape.d;
    return last < 0 ? 1 : convolution_at_most(last + 1, all);
}

static void run_sample(const struct convolution_pair_state *s, const void *input, void *output,
                       void *ring, void *desks)
{
    struct convolution_maps first = {input, NULL, ring}, second = {ring, NULL, output};
    int64_t slices = s->second.operation.output.shape.d, made = 0;
    for (int64_t z = 0; z < slices; z += s->batch) {
        int64_t batch = convolution_at_most(s->batch, slices - z);
        int64_t end = needed(s, z + batch - 1);
        if (end - made > s->first.out_slices) /* a stride beyond the kernel skips some */
            made = end - s->first.out_slices;
        convolution_slices(&s->first, &first, made, end - made, desks);
        made = end;
        convolution_slices(&s->second, &second, z, batch, desks);
    }
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_pair_state *s = state;
    int64_t in = tensor_bytes(s->first.operation.input[0]);
    int64_t out = tensor_bytes(s->second.operation.output);
    for (int64_t n = 0; n < s->samples; n++)
        run_sample(s, (const char *)inputs[0] + n * in, (char *)output + n * out, workspace,
                   (char *)workspace + s->desks);
    return NULL;
}

const struct kernel cpu_convolution_pair = {create, prepare, run, free};
