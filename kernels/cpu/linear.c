/* OP_LINEAR: rows of f32 times a matrix. Rows are padded with zeros to whole vectors; a row of the
 * matrix meets all samples while it is in the cache. A matrix of bf16 stays so, for half the
 * memory, and its rows are widened when they are needed; others are turned into f32 by prepare. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

enum { PADDING = 16 /* floats; dot() takes multiples */ };

struct linear_state {
    int64_t n, in, padded, out;
    bool silu, bias, bf16;
    size_t bias_offset; /* in the prepared block, after the matrix (out, padded) */
    size_t wide_offset; /* of the threads' widened rows in the workspace, after the samples' */
    const char *prepared;
    int threads;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_linear(o);
    if (why)
        return why;
    struct shape in = o->input[0].shape;
    struct linear_state s = {
        .n = in.n * in.d * in.h * in.w,
        .in = in.c,
        .padded = (in.c + PADDING - 1) / PADDING * PADDING,
        .out = o->output.shape.c,
        .silu = o->linear.silu_input,
        .bias = o->weights > 1 && o->weight[1].rank,
        .bf16 = o->weight[0].dtype == DTYPE_BF16,
        .threads = omp_get_max_threads(),
    };
    int64_t row_bytes = s.padded * (int64_t)sizeof(float);
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->prepared, s.out, s.bf16 ? row_bytes / 2 : row_bytes);
    s.bias_offset = cpu_reserve(&needs->prepared, s.out, sizeof(float));
    cpu_reserve(&needs->workspace, s.n, row_bytes);
    s.wide_offset = cpu_reserve(&needs->workspace, s.bf16 ? s.threads : 0, row_bytes);
    if (needs->prepared == SIZE_MAX || needs->workspace == SIZE_MAX)
        return "the matrix is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    (void)scratch;
    struct linear_state *s = state;
    char *row = prepared;
    float *bias = (float *)(void *)(row + s->bias_offset);
    int64_t element = s->bf16 ? 2 : 4;
    s->prepared = prepared;
    for (int64_t i = 0; i < s->out; i++, row += s->padded * element) {
        if (s->bf16)
            memcpy(row, (const char *)o->weight[0].data + i * s->in * element,
                   (size_t)(s->in * element));
        else
            weight_to_f32(&o->weight[0], i * s->in, s->in, (float *)(void *)row);
        memset(row + s->in * element, 0, (size_t)((s->padded - s->in) * element));
    }
    if (s->bias)
        weight_to_f32(&o->weight[1], 0, s->out, bias);
    else
        memset(bias, 0, (size_t)s->out * sizeof *bias);
    return NULL;
}

/* Row i of the matrix in f32, in its place or widened to `wide`. */
static const float *matrix_row(const struct linear_state *s, int64_t i, float *wide)
{
    if (!s->bf16)
        return (const float *)(const void *)s->prepared + i * s->padded;
    bf16_to_f32((const uint16_t *)(const void *)s->prepared + i * s->padded, wide, s->padded);
    return wide;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct linear_state *s = state;
    const struct linear_simd *linear = simd()->linear;
    const float *bias = (const float *)(const void *)(s->prepared + s->bias_offset);
    float *rows = workspace, *wide = rows + s->wide_offset / sizeof *rows, *to = output;
    for (int64_t n = 0; n < s->n; n++) {
        const float *from = (const float *)inputs[0] + n * s->in;
        float *row = rows + n * s->padded;
        if (s->silu)
            linear->silu(from, row, s->in);
        else
            memcpy(row, from, (size_t)s->in * sizeof *row);
        memset(row + s->in, 0, (size_t)(s->padded - s->in) * sizeof *row);
    }
#pragma omp parallel for num_threads(cpu_team(s->threads, s->out * s->padded * s->n))
    for (int64_t i = 0; i < s->out; i++) {
        const float *row = matrix_row(s, i, wide + omp_get_thread_num() * s->padded);
        for (int64_t n = 0; n < s->n; n++)
            to[n * s->out + i] = linear->dot(row, rows + n * s->padded, s->padded) + bias[i];
    }
    return NULL;
}

const struct kernel cpu_linear = {create, prepare, run, free};
