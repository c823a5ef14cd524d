/* OP_QUANTIZE: an exhaustive search over the codebook, kept transposed so that vectors run over
 * codes. Codes beyond the last are infinite and never win. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>

struct quantize_state {
    int64_t pixels, c, codes, padded;
    const float *prepared; /* (c, padded) */
    int threads;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const struct shape *in = &o->input[0].shape;
    const struct weight *w = &o->weight[0];
    const char *why = check_quantize(o);
    if (why)
        return why;
    struct quantize_state s = {
        .pixels = in->n * in->d * in->h * in->w,
        .c = in->c,
        .codes = w->shape[0],
        .padded = (w->shape[0] + QUANTIZE_BLOCK - 1) / QUANTIZE_BLOCK * QUANTIZE_BLOCK,
        .threads = omp_get_max_threads(),
    };
    *needs = (struct needs){0};
    *in_place = 0;
    cpu_reserve(&needs->prepared, s.padded, s.c * (int64_t)sizeof(float));
    cpu_reserve(&needs->scratch, s.c, sizeof(float));
    if (needs->prepared == SIZE_MAX)
        return "the codebook is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct quantize_state *s = state;
    float *codes = prepared, *code = scratch;
    s->prepared = prepared;
    for (int64_t k = 0; k < s->padded; k++) {
        if (k < s->codes)
            weight_to_f32(&o->weight[0], k * s->c, s->c, code);
        for (int64_t j = 0; j < s->c; j++)
            codes[j * s->padded + k] = k < s->codes ? code[j] : INFINITY;
    }
    return NULL;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct quantize_state *s = state;
    const struct quantize_simd *quantize = simd()->quantize;
    const float *from = inputs[0];
    float *to = output;
#pragma omp parallel for num_threads(cpu_team(s->threads, s->pixels * s->padded))
    for (int64_t i = 0; i < s->pixels; i++) {
        int32_t code = quantize->nearest(s->prepared, s->padded, s->c, from + i * s->c);
        for (int64_t j = 0; j < s->c; j++)
            to[i * s->c + j] = s->prepared[j * s->padded + code];
    }
    return NULL;
}

const struct kernel cpu_quantize = {create, prepare, run, free};
