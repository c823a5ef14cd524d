#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

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

static void measure_products(struct convolution_state *s, struct needs *needs)
{
    const struct operation *o = &s->operation;
    int64_t in = o->input[0].shape.c, out = o->output.shape.c, element = s->bf16 ? 2 : 4;
    s->taps = 1;
    for (int a = 0; a < AXES; a++)
        s->taps *= o->convolution.kernel[a];
    s->depth = s->bf16 ? convolution_rounded(in, 2) : in;
    s->columns = convolution_rounded(out, COLUMNS_MULTIPLE);
    s->tap_bytes = convolution_rounded(s->depth * s->columns * element, 64);
    s->desk_bytes = convolution_rounded(PIXELS * s->depth * element, 64) +
                    (PIXELS * COLUMNS + PIXELS) * (int64_t)sizeof(float);
    cpu_reserve(&needs->prepared, s->taps, s->tap_bytes);
    cpu_reserve(&needs->scratch, out * in + widest_part(o), sizeof(float));
    cpu_reserve(&needs->scratch, out * in, sizeof(uint16_t));
    cpu_reserve(&needs->workspace, s->threads, s->desk_bytes);
}

const char *convolution_measure(struct convolution_state *s, struct needs *needs)
{
    const struct operation *o = &s->operation;
    *needs = (struct needs){0};
    if (winograd_suits(o)) {
        const char *why = winograd_create(&s->winograd, o, needs);
        if (why)
            return why;
        needs->algorithm = "winograd";
        cpu_reserve(&needs->scratch, weight_count(&o->weight[0]), sizeof(float));
    } else {
        measure_products(s, needs);
        needs->algorithm = "direct";
    }
    s->bias = cpu_reserve(&needs->prepared, o->output.shape.c, sizeof(float));
    return NULL;
}

/* One tap of all parts as a matrix (out, in), scaled by alpha. */
static void gather_tap(const struct convolution_state *s, int64_t tap, float *matrix, float *wide)
{
    const struct operation *o = &s->operation;
    const struct convolution *c = &o->convolution;
    int64_t in = o->input[0].shape.c;
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
                matrix[i * in + k] = s->alpha * kernel[at * s->taps + tap];
            }
        matrix += out * in;
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

/* Winograd takes the kernel as it is, in f32 and scaled. */
static void pack_winograd(const struct convolution_state *s, void *prepared, float *scratch)
{
    const struct weight *w = &s->operation.weight[0];
    const float *kernel = w->data;
    if (w->dtype != DTYPE_F32 || s->operation.convolution.mix) {
        weight_to_f32(w, 0, weight_count(w), scratch);
        for (int64_t i = 0; i < weight_count(w); i++)
            scratch[i] *= s->alpha;
        kernel = scratch;
    }
    winograd_pack(s->winograd, kernel, prepared);
}

static void pack_products(const struct convolution_state *s, void *prepared, void *scratch)
{
    int64_t in = s->operation.input[0].shape.c, out = s->operation.output.shape.c;
    float *matrix = scratch, *wide = matrix + out * in;
    size_t end = 0;
    cpu_reserve(&end, out * in + widest_part(&s->operation), sizeof(float));
    uint16_t *narrow = (uint16_t *)(void *)((char *)scratch + end);
    for (int64_t tap = 0; tap < s->taps; tap++) {
        void *packed = (char *)prepared + tap * s->tap_bytes;
        gather_tap(s, tap, matrix, wide);
        if (s->bf16) {
            f32_to_bf16(matrix, narrow, out * in);
            simd()->convolution->pack_bf16(narrow, out, in, packed);
        } else {
            struct rows rows = {matrix, DTYPE_F32, in};
            simd()->attention->pack_transposed(rows, out, in, packed);
        }
    }
}

void convolution_pack(const struct convolution_state *s, void *prepared, void *scratch)
{
    if (s->winograd)
        pack_winograd(s, prepared, scratch);
    else
        pack_products(s, prepared, scratch);
    pack_bias(s, (float *)(void *)((char *)prepared + s->bias));
}
