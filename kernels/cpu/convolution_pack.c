#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/convolution_map.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <string.h>

static void measure_taps(struct convolution_state *s)
{
    const struct operation *o = &s->operation;
    int64_t in = o->input[0].shape.c, element = s->bf16 ? 2 : 4;
    s->way = BY_TAPS;
    s->taps = convolution_taps(&o->convolution);
    s->depth = s->bf16 ? convolution_rounded(in, 2) : in;
    s->columns = convolution_rounded(o->output.shape.c, COLUMNS_MULTIPLE);
    s->desk_bytes = convolution_rounded(PIXELS * s->depth * element, 64) +
                    (PIXELS * COLUMNS + PIXELS) * (int64_t)sizeof(float);
}

static bool by_lines(const struct convolution_state *s)
{
    return s->way == BY_LINES || s->way == BY_LINES_SUMMED;
}

/* Floats of a vector of columns of a kernel that goes by lines: as it lies, and one line. */
static int64_t line_floats(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    return o->input[0].shape.c * (convolution_taps(c) + c->kernel[AXIS_W]) * COLUMNS_MULTIPLE;
}

static void measure_products(struct convolution_state *s, struct needs *needs)
{
    const struct operation *o = &s->operation;
    int64_t element = s->bf16 ? 2 : 4;
    int64_t floats = by_lines(s)
                         ? s->threads * line_floats(o)
                         : kernel_taps_scratch(convolution_taps(&o->convolution), s->threads);
    s->tap_bytes = convolution_rounded(s->depth * s->columns * element, 64);
    cpu_reserve(&needs->prepared, s->taps, s->tap_bytes);
    cpu_reserve(&needs->scratch, floats, sizeof(float));
    cpu_reserve(&needs->workspace, s->threads, s->desk_bytes);
}

/* Channels that a batch norm scales. */
static int64_t norm_channels(const struct operation *o)
{
    return o->convolution.norm_epsilon > 0 ? o->output.shape.c : 0;
}

const char *convolution_measure(struct convolution_state *s, bool slicewise, struct needs *needs)
{
    const struct operation *o = &s->operation;
    *needs = (struct needs){0};
    s->in_slices = o->input[0].shape.d;
    s->out_slices = o->output.shape.d;
    if (convolution_lines_suit(o)) {
        convolution_lines_measure(s);
        measure_products(s, needs);
    } else if (!slicewise && winograd_suits(o)) {
        s->way = BY_WINOGRAD;
        const char *why = winograd_create(&s->winograd, o, needs);
        if (why)
            return why;
        needs->algorithm = "winograd";
    } else {
        measure_taps(s);
        measure_products(s, needs);
        needs->algorithm = "direct";
    }
    s->wide = cpu_reserve(&needs->scratch, kernel_taps_floats(o), sizeof(float));
    s->scale = cpu_reserve(&needs->scratch, norm_channels(o), sizeof(float));
    s->bias = cpu_reserve(&needs->prepared, o->output.shape.c, sizeof(float));
    return NULL;
}

static void pack_bias(const struct convolution_state *s, float *bias)
{
    const struct operation *o = &s->operation;
    for (int part = 0; part < o->convolution.parts; part++) {
        const struct weight *w = &o->weight[2 * part], *b = &o->weight[2 * part + 1];
        int64_t out = w->shape[o->convolution.transposed ? 1 : 0];
        if (b->rank)
            weight_to_f32(b, 0, out, bias);
        for (int64_t i = 0; i < out; i++)
            bias[i] = b->rank ? s->alpha * bias[i] : 0.0f;
        bias += out;
    }
}

/* The batch norm (weight, bias, mean, variance: weights 2 to 5) as a factor of each channel and
 * what becomes of its bias. */
static void fold_norm(const struct operation *o, float *scale, float *bias)
{
    for (int64_t i = 0; i < norm_channels(o); i++) {
        float of[4];
        for (int k = 0; k < 4; k++)
            weight_to_f32(&o->weight[2 + k], i, 1, &of[k]);
        double factor = of[0] / sqrt((double)of[3] + o->convolution.norm_epsilon);
        scale[i] = (float)factor;
        bias[i] = (float)(((double)bias[i] - of[2]) * factor + of[1]);
    }
}

static struct kernel_packed packed_of(const struct convolution_state *s)
{
    return (struct kernel_packed){s->bf16, s->depth, s->columns, s->tap_bytes};
}

/* Numbers of a line for a few columns as rows of their own, padded with zeros to depth. */
static void place_summed(const struct convolution_state *s, const float *from, int64_t count,
                         char *packed)
{
    int64_t element = s->bf16 ? 2 : 4;
    memset(packed, 0, (size_t)s->tap_bytes);
    for (int64_t i = 0; i < count; i++) {
        uint16_t narrow[COLUMNS_MULTIPLE];
        const void *values = from + i * COLUMNS_MULTIPLE;
        if (s->bf16) {
            f32_to_bf16(values, narrow, COLUMNS_MULTIPLE);
            values = narrow;
        }
        for (int64_t k = 0; k < s->operation.output.shape.c; k++)
            memcpy(packed + (k * s->depth + i) * element, (const char *)values + k * element,
                   (size_t)element);
    }
}

/* Lines of the kernel, as the input lies: a transposed convolution's last tap sees the first
 * pixel. */
static void place_lines(const struct convolution_state *s, int64_t column, float *gathered,
                        char *packed)
{
    const struct convolution *c = &s->operation.convolution;
    int64_t in = s->operation.input[0].shape.c, width = c->kernel[AXIS_W], taps = s->taps * width;
    const struct kernel_packed matrix = packed_of(s);
    float *line = gathered + in * taps * COLUMNS_MULTIPLE;
    for (int64_t k = 0; k < s->taps; k++, packed += s->tap_bytes) {
        for (int64_t kw = 0; kw < width; kw++)
            for (int64_t i = 0; i < in; i++)
                memcpy(line + ((c->transposed ? width - 1 - kw : kw) * in + i) * COLUMNS_MULTIPLE,
                       gathered + (i * taps + k * width + kw) * COLUMNS_MULTIPLE,
                       COLUMNS_MULTIPLE * sizeof *line);
        if (s->way == BY_LINES_SUMMED)
            place_summed(s, line, width * in, packed);
        else
            kernel_packed_place(&matrix, line, COLUMNS_MULTIPLE, 0, width * in, column, packed);
    }
}

static void pack_lines(const struct convolution_state *s, const struct kernel_taps *kernel,
                       char *prepared, float *scratch)
{
    int64_t in = s->operation.input[0].shape.c, out = s->operation.output.shape.c;
    int team = cpu_team(s->threads, in * out * kernel->taps);
#pragma omp parallel for num_threads(team)
    for (int64_t column = 0; column < out; column += COLUMNS_MULTIPLE) {
        float *gathered = scratch + omp_get_thread_num() * line_floats(&s->operation);
        kernel_taps_gather(kernel, column, convolution_at_most(out - column, COLUMNS_MULTIPLE), 0,
                           in, COLUMNS_MULTIPLE, gathered);
        place_lines(s, column, gathered, prepared);
    }
}

void convolution_pack(const struct convolution_state *s, const struct kernel_taps *kernel,
                      void *prepared, void *scratch)
{
    const struct operation *o = &s->operation;
    const struct kernel_packed packed = packed_of(s);
    float *scale = (float *)(void *)((char *)scratch + s->scale);
    float *bias = (float *)(void *)((char *)prepared + s->bias);
    struct kernel_taps scaled = *kernel;
    pack_bias(s, bias);
    if (norm_channels(o)) {
        fold_norm(o, scale, bias);
        scaled.scale = scale;
    }
    if (s->winograd)
        winograd_pack(s->winograd, &scaled, prepared);
    else if (by_lines(s))
        pack_lines(s, &scaled, prepared, scratch);
    else
        kernel_taps_pack(&scaled, o->input[0].shape.c, o->output.shape.c, &packed, s->threads,
                         prepared, scratch);
}
