#include "kernels/cpu/convolution_data.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>

enum { RUN = 256 /* elements of a kernel placed together */ };

/* Where the kernel's element for a tap, an input and an output channel goes. */
struct placement {
    void *to;
    bool bf16;
    int64_t first, tap_step, in_step, out_step;
};

static const char *check(const struct operation *o, struct operation *forward)
{
    *forward = convolution_forward(o, o->output, o->input[0]);
    const char *why = check_convolution(forward);
    if (why)
        return why;
    if (o->inputs == 2 &&
        (o->input[1].dtype != o->output.dtype || !tensor_is_activation(&o->input[1]) ||
         !tensor_same_map(&o->input[1], &o->output) || o->input[1].shape.c != o->output.shape.c))
        return "what is added is not like the output";
    return NULL;
}

static struct weight mirrored_kernel(const struct operation *forward, const float *kernel)
{
    const int *k = forward->convolution.kernel;
    return (struct weight){kernel,
                           DTYPE_F32,
                           5,
                           {forward->input[0].shape.c, forward->output.shape.c, k[0], k[1], k[2]},
                           false};
}

/* True where dx is a convolution of dy that goes by Winograd or by lines; *mirror is that one. */
static bool find_mirror(const struct operation *gradient, const struct operation *forward,
                        struct operation *mirror)
{
    const struct convolution *c = &forward->convolution;
    *mirror = (struct operation){
        .kind = OP_CONVOLUTION,
        .inputs = gradient->inputs,
        .weights = 2,
        .input = {gradient->input[0], gradient->input[1]},
        .output = gradient->output,
        .convolution = {.parts = 1, .residual = gradient->inputs == 2},
    };
    mirror->weight[0] = mirrored_kernel(forward, NULL);
    for (int a = 0; a < AXES; a++) {
        if (c->upsampled[a] || c->stride[a] != 1 || c->pad_front[a] >= c->kernel[a] ||
            c->pad_back[a] >= c->kernel[a])
            return false;
        mirror->convolution.kernel[a] = c->kernel[a];
        mirror->convolution.stride[a] = 1;
        mirror->convolution.pad_front[a] = c->kernel[a] - 1 - c->pad_front[a];
        mirror->convolution.pad_back[a] = c->kernel[a] - 1 - c->pad_back[a];
    }
    return !c->transposed && c->padding == PADDING_ZERO && !check_convolution(mirror) &&
           (convolution_lines_suit(mirror) || winograd_suits(mirror));
}

static int64_t kernel_count(const struct convolution_data *s)
{
    return s->forward.input[0].shape.c * s->forward.output.shape.c * s->taps;
}

/* From one tap's matrix to the next: an odd number of cache lines, so that the elements of all taps
 * that are written together fall into different sets of the caches. */
static int64_t matrix_step(const struct convolution_data *s)
{
    int64_t line = 64 / (s->bf16 ? 2 : 4);
    int64_t count = s->forward.input[0].shape.c * s->forward.output.shape.c;
    return ((count + line - 1) / line | 1) * line;
}

/* True where Winograd reads the forward kernel as it lies. */
static bool packs_forward(const struct convolution_data *s)
{
    const struct convolution_state *inner = s->inner;
    return inner->winograd && s->forward.convolution.parts == 1 &&
           s->forward.weight[0].dtype == DTYPE_F32;
}

static const char *create_mirror(struct convolution_data *s, struct needs *needs)
{
    int in_place;
    size_t kernel = 0;
    const char *why = cpu_convolution.create(&s->mirror, &s->inner, needs, &in_place);
    if (why)
        return why;
    s->from_forward = packs_forward(s);
    if (s->from_forward)
        return NULL;
    cpu_reserve(&kernel, kernel_count(s), sizeof(float));
    if (__builtin_add_overflow(kernel, needs->scratch, &needs->scratch))
        needs->scratch = SIZE_MAX;
    return NULL;
}

static const char *create_products(struct convolution_data *s, struct needs *needs)
{
    int64_t element = s->bf16 ? 2 : 4;
    struct convolution_axis *h = &s->map.axis[AXIS_H], *w = &s->map.axis[AXIS_W];
    if (convolution_map_create(&s->map, &s->forward))
        return "out of memory";
    s->phases = h->phases * w->phases;
    s->blocks =
        ((h->in + h->phases - 1) / h->phases * ((w->in + w->phases - 1) / w->phases) + PIXELS - 1) /
        PIXELS;
    s->depth = convolution_rounded(s->forward.output.shape.c, s->bf16 ? 2 : 1);
    s->columns = convolution_rounded(s->forward.input[0].shape.c, COLUMNS_MULTIPLE);
    s->tap_bytes = convolution_rounded(s->depth * s->columns * element, 64);
    s->desk_bytes = convolution_rounded(PIXELS * s->depth * element, 64) +
                    convolution_rounded(2 * s->depth * (int64_t)sizeof(float), 64) +
                    (PIXELS * COLUMNS + PIXELS) * (int64_t)sizeof(float);
    needs->algorithm = "direct";
    cpu_reserve(&needs->prepared, s->taps, s->tap_bytes);
    cpu_reserve(&needs->scratch, s->taps, matrix_step(s) * element);
    cpu_reserve(&needs->workspace, s->threads, s->desk_bytes);
    return NULL;
}

static void destroy(void *state)
{
    struct convolution_data *s = state;
    if (s->inner)
        cpu_convolution.destroy(s->inner);
    convolution_map_destroy(&s->map);
    free(s);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct convolution_data *s = calloc(1, sizeof *s);
    if (!s)
        return "out of memory";
    const char *why = check(o, &s->forward);
    *needs = (struct needs){0};
    *in_place = o->inputs == 2 ? 1 : -1;
    s->added = o->inputs == 2;
    s->threads = omp_get_max_threads();
    s->taps = convolution_taps(&o->convolution);
    s->bf16 = o->input[0].dtype == DTYPE_BF16 && o->output.dtype == DTYPE_BF16 && cpu_has_bf16() &&
              simd()->convolution->multiply_bf16;
    if (!why)
        why = find_mirror(o, &s->forward, &s->mirror) ? create_mirror(s, needs)
                                                      : create_products(s, needs);
    if (!why &&
        (needs->prepared == SIZE_MAX || needs->scratch == SIZE_MAX || needs->workspace == SIZE_MAX))
        why = "the kernel is too large";
    *state = s;
    if (why)
        destroy(s);
    return why;
}

static void place_run(const struct placement *p, const float *values, int64_t count,
                      const int64_t *offset, int64_t start)
{
    uint16_t narrow[RUN];
    if (p->bf16) {
        f32_to_bf16(values, narrow, count);
        for (int64_t e = 0; e < count; e++)
            ((uint16_t *)p->to)[offset[e] + start] = narrow[e];
    } else {
        for (int64_t e = 0; e < count; e++)
            ((float *)p->to)[offset[e] + start] = values[e];
    }
}

/* Elements begin … of each row of a kernel, a row being an output channel (an input channel where
 * transposed), scaled by a. */
static void place_elements(const struct convolution_data *s, const struct weight *w, float a,
                           const struct placement *p, int64_t begin, int64_t count)
{
    const struct convolution *c = &s->forward.convolution;
    int64_t offset[RUN], inner = c->transposed ? p->out_step : p->in_step;
    int64_t outer = c->transposed ? p->in_step : p->out_step;
    int64_t rows = c->transposed ? s->forward.input[0].shape.c : w->shape[0];
    int64_t length = w->shape[1] * s->taps;
    int64_t first = c->transposed ? c->first_channel * length : c->first_channel * s->taps;
    for (int64_t e = 0; e < count; e++)
        offset[e] = p->first + (begin + e) / s->taps * inner + (begin + e) % s->taps * p->tap_step;
    for (int64_t row = 0; row < rows; row++) {
        float values[RUN];
        weight_to_f32(w, first + row * length + begin, count, values);
        for (int64_t e = 0; e < count; e++)
            values[e] *= a;
        place_run(p, values, count, offset, row * outer);
    }
}

/* All parts, their outputs one after another. */
static void place_kernels(const struct convolution_data *s, struct placement p)
{
    const struct operation *f = &s->forward;
    float a = convolution_mix(f);
    for (int part = 0; part < f->convolution.parts; part++) {
        const struct weight *w = &f->weight[2 * part];
        int64_t out = w->shape[f->convolution.transposed ? 1 : 0];
        int64_t elements = s->taps * (f->convolution.transposed ? out : f->input[0].shape.c);
#pragma omp parallel for num_threads(cpu_team(s->threads, elements * f->output.shape.c))
        for (int64_t e = 0; e < elements; e += RUN)
            place_elements(s, w, a, &p, e, elements - e < RUN ? elements - e : RUN);
        p.first += out * p.out_step;
    }
}

/* Matrices (in, out) of each tap, then packed, chunk by chunk. */
static void pack_products(const struct convolution_data *s, char *prepared, void *scratch)
{
    int64_t in = s->forward.input[0].shape.c, out = s->forward.output.shape.c;
    int64_t chunks = (in + COLUMNS - 1) / COLUMNS, element = s->bf16 ? 2 : 4;
    place_kernels(s, (struct placement){scratch, s->bf16, 0, matrix_step(s), out, 1});
#pragma omp parallel for collapse(2) num_threads(cpu_team(s->threads, kernel_count(s)))
    for (int64_t tap = 0; tap < s->taps; tap++)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            int64_t first = chunk * COLUMNS, count = in - first < COLUMNS ? in - first : COLUMNS;
            void *to = prepared + tap * s->tap_bytes + first * s->depth * element;
            void *from = (char *)scratch + (tap * matrix_step(s) + first * out) * element;
            if (s->bf16)
                simd()->convolution->pack_bf16(from, count, out, to);
            else
                simd()->attention->pack_transposed((struct rows){from, DTYPE_F32, out}, count, out,
                                                   to);
        }
}

static void prepare_from_forward(struct convolution_data *s, void *prepared)
{
    const struct weight *w = &s->forward.weight[0];
    convolution_prepare_winograd(
        s->inner,
        &(struct winograd_kernel){
            .weights = (const float *)w->data + s->forward.convolution.first_channel * s->taps,
            .out_step = s->taps,
            .in_step = w->shape[1] * s->taps,
            .mirrored = true,
            .factor = convolution_mix(&s->forward),
        },
        prepared);
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct convolution_data *s = state;
    int64_t out = o->input[0].shape.c;
    s->forward = convolution_forward(o, o->output, o->input[0]);
    s->prepared = prepared;
    if (!s->inner) {
        pack_products(s, prepared, scratch);
        return NULL;
    }
    if (s->from_forward) {
        prepare_from_forward(s, prepared);
        return NULL;
    }
    size_t kernel = 0;
    cpu_reserve(&kernel, kernel_count(s), sizeof(float));
    place_kernels(s, (struct placement){scratch, false, s->taps - 1, -1, out * s->taps, s->taps});
    s->mirror.weight[0] = mirrored_kernel(&s->forward, scratch);
    return cpu_convolution.prepare(s->inner, &s->mirror, prepared, (char *)scratch + kernel);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_data *s = state;
    if (s->inner)
        return cpu_convolution.run(s->inner, inputs, output, workspace);
    struct convolution_data_call call = {inputs[0], s->added ? inputs[1] : NULL, output};
    struct shape x = s->forward.input[0].shape;
    int64_t slices = x.n * x.d, units = slices * s->phases * s->blocks;
    int64_t chunks = (x.c + COLUMNS - 1) / COLUMNS;
    int team = cpu_team(s->threads, shape_count(x) * s->taps * s->depth / 64);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(team)
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        for (int64_t unit = 0; unit < units; unit++)
            convolution_data_unit(s, &call, unit / s->blocks / s->phases / x.d,
                                  unit / s->blocks / s->phases % x.d, unit / s->blocks % s->phases,
                                  unit % s->blocks, chunk,
                                  (char *)workspace + omp_get_thread_num() * s->desk_bytes);
    return NULL;
}

const struct kernel cpu_convolution_data = {create, prepare, run, destroy};
