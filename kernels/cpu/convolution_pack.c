#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <string.h>

static int64_t weight_count(const struct weight *w)
{
    int64_t count = 1;
    for (int i = 0; i < w->rank; i++)
        count *= w->shape[i];
    return count;
}

/* Floats of the widest part's kernel, where the file does not hold it as f32. */
static int64_t widest_part(const struct operation *o)
{
    int64_t widest = 0;
    for (int part = 0; part < o->convolution.parts; part++) {
        const struct weight *w = &o->weight[2 * part];
        if (w->dtype != DTYPE_F32 && weight_count(w) > widest)
            widest = weight_count(w);
    }
    return widest;
}

static void measure_taps(struct convolution_state *s)
{
    const struct operation *o = &s->operation;
    int64_t in = o->input[0].shape.c, element = s->bf16 ? 2 : 4;
    s->way = BY_TAPS;
    s->taps = 1;
    for (int a = 0; a < AXES; a++)
        s->taps *= o->convolution.kernel[a];
    s->depth = s->bf16 ? convolution_rounded(in, 2) : in;
    s->columns = convolution_rounded(o->output.shape.c, COLUMNS_MULTIPLE);
    s->desk_bytes = convolution_rounded(PIXELS * s->depth * element, 64) +
                    (PIXELS * COLUMNS + PIXELS) * (int64_t)sizeof(float);
}

static bool by_lines(const struct convolution_state *s)
{
    return s->way == BY_LINES || s->way == BY_LINES_SUMMED;
}

/* Numbers of a packed matrix that come from the kernel: of a tap or a line, for each output. */
static int64_t packed_numbers(const struct convolution_state *s)
{
    const struct operation *o = &s->operation;
    return o->input[0].shape.c * (by_lines(s) ? o->convolution.kernel[AXIS_W] : 1);
}

static void measure_products(struct convolution_state *s, struct needs *needs)
{
    const struct operation *o = &s->operation;
    int64_t element = s->bf16 ? 2 : 4, count = o->output.shape.c * packed_numbers(s);
    s->tap_bytes = convolution_rounded(s->depth * s->columns * element, 64);
    cpu_reserve(&needs->prepared, s->taps, s->tap_bytes);
    cpu_reserve(&needs->scratch, count + widest_part(o), sizeof(float));
    cpu_reserve(&needs->scratch, count, sizeof(uint16_t));
    cpu_reserve(&needs->workspace, s->threads, s->desk_bytes);
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
        cpu_reserve(&needs->scratch, widest_part(o), sizeof(float));
    } else {
        measure_taps(s);
        measure_products(s, needs);
        needs->algorithm = "direct";
    }
    s->bias = cpu_reserve(&needs->prepared, o->output.shape.c, sizeof(float));
    return NULL;
}

/* One tap of all parts as a matrix (out, in) with rows of `stride`, scaled by alpha. `wide` keeps
 * the kernel in f32 from tap 0 on. */
static void gather_tap(const struct convolution_state *s, int64_t tap, float *matrix,
                       int64_t stride, float *wide)
{
    const struct operation *o = &s->operation;
    const struct convolution *c = &o->convolution;
    int64_t in = o->input[0].shape.c, taps = 1;
    for (int a = 0; a < AXES; a++)
        taps *= c->kernel[a];
    for (int part = 0; part < c->parts; part++) {
        const struct weight *w = &o->weight[2 * part];
        const float *kernel = w->data;
        if (w->dtype != DTYPE_F32) {
            if (tap == 0 || c->parts > 1)
                weight_to_f32(w, 0, weight_count(w), wide);
            kernel = wide;
        }
        int64_t out = w->shape[c->transposed ? 1 : 0], all = w->shape[c->transposed ? 0 : 1];
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < out; i++)
            for (int64_t k = 0; k < in; k++) {
                int64_t channel = k + c->first_channel;
                int64_t at = c->transposed ? channel * out + i : i * all + channel;
                matrix[i * stride + k] = s->alpha * kernel[at * taps + tap];
            }
        matrix += out * stride;
    }
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

/* Winograd takes the kernel as it is, in f32. */
static void pack_winograd(const struct convolution_state *s, void *prepared, float *scratch)
{
    const struct weight *w = &s->operation.weight[0];
    int64_t out_step = weight_count(w) / w->shape[0];
    if (w->dtype != DTYPE_F32)
        weight_to_f32(w, 0, weight_count(w), scratch);
    winograd_pack(s->winograd,
                  &(struct winograd_kernel){
                      .weights = w->dtype == DTYPE_F32 ? w->data : scratch,
                      .out_step = out_step,
                      .in_step = out_step / w->shape[1],
                      .factor = s->alpha,
                  },
                  prepared);
}

/* One line of the kernel as a matrix (out, kernel·in), as the input lies: a transposed
 * convolution's last tap sees the first pixel. */
static void gather_line(const struct convolution_state *s, int64_t line, float *matrix, float *wide)
{
    const struct convolution *c = &s->operation.convolution;
    int64_t in = s->operation.input[0].shape.c, width = c->kernel[AXIS_W];
    for (int64_t kw = 0; kw < width; kw++)
        gather_tap(s, line * width + kw, matrix + (c->transposed ? width - 1 - kw : kw) * in,
                   width * in, wide);
}

/* Rows of a matrix (out, numbers) padded with zeros to depth, and zero rows up to columns. */
static void pack_plain(const struct convolution_state *s, const void *matrix, int64_t numbers,
                       void *packed)
{
    size_t element = s->bf16 ? 2 : 4, row = (size_t)numbers * element;
    memset(packed, 0, (size_t)s->tap_bytes);
    for (int64_t i = 0; i < s->operation.output.shape.c; i++)
        memcpy((char *)packed + (size_t)(i * s->depth) * element,
               (const char *)matrix + (size_t)i * row, row);
}

static void pack_products(const struct convolution_state *s, void *prepared, void *scratch)
{
    int64_t numbers = packed_numbers(s), out = s->operation.output.shape.c;
    float *matrix = scratch, *wide = matrix + out * numbers;
    size_t end = 0;
    cpu_reserve(&end, out * numbers + widest_part(&s->operation), sizeof(float));
    uint16_t *narrow = (uint16_t *)(void *)((char *)scratch + end);
    for (int64_t tap = 0; tap < s->taps; tap++) {
        void *packed = (char *)prepared + tap * s->tap_bytes;
        if (by_lines(s))
            gather_line(s, tap, matrix, wide);
        else
            gather_tap(s, tap, matrix, numbers, wide);
        if (s->bf16)
            f32_to_bf16(matrix, narrow, out * numbers);
        if (s->way == BY_LINES_SUMMED)
            pack_plain(s, s->bf16 ? (const void *)narrow : matrix, numbers, packed);
        else if (s->bf16)
            simd()->convolution->pack_bf16(narrow, out, numbers, packed);
        else
            simd()->attention->pack_transposed((struct rows){matrix, DTYPE_F32, numbers}, out,
                                               numbers, packed);
    }
}

void convolution_prepare_winograd(struct convolution_state *s, const struct winograd_kernel *kernel,
                                  void *prepared)
{
    s->prepared = prepared;
    s->alpha = s->beta = 1;
    winograd_pack(s->winograd, kernel, prepared);
    pack_bias(s, (float *)(void *)((char *)prepared + s->bias));
}

void convolution_pack(const struct convolution_state *s, void *prepared, void *scratch)
{
    if (s->winograd)
        pack_winograd(s, prepared, scratch);
    else
        pack_products(s, prepared, scratch);
    pack_bias(s, (float *)(void *)((char *)prepared + s->bias));
}
