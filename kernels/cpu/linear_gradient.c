/* OP_LINEAR_DATA, dx = (dy·W)·f′(x), and OP_LINEAR_WEIGHTS, dW += dyᵀ·f(x) and db += Σ dy. Rows of
 * the matrix are cut into columns, or taken one by one, and meet all samples in the cache. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 128 };

struct linear_state {
    int64_t n, in, out;
    bool silu;
    const float *matrix; /* (out, in) */
    float *gradient[2];
    int threads;
};

/* x and dy are as in the forward layer. */
static struct linear_state state_of(const struct operation *o, const struct tensor *x,
                                    const struct tensor *dy)
{
    return (struct linear_state){
        .n = x->shape.n * x->shape.d * x->shape.h * x->shape.w,
        .in = x->shape.c,
        .out = dy->shape.c,
        .silu = o->linear.silu_input,
        .gradient = {o->gradient[0], o->gradient[1]},
        .threads = omp_get_max_threads(),
    };
}

static const char *data_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    const char *why = check_linear_data(o);
    if (why)
        return why;
    struct linear_state s = state_of(o, &o->input[1], &o->input[0]);
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->prepared, s.out, s.in * (int64_t)sizeof(float));
    if (needs->prepared == SIZE_MAX)
        return "the matrix is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *data_prepare(void *state, const struct operation *o, void *prepared,
                                void *scratch)
{
    (void)scratch;
    struct linear_state *s = state;
    weight_to_f32(&o->weight[0], 0, s->out * s->in, prepared);
    s->matrix = prepared;
    return NULL;
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct linear_state *s = state;
    const float *dy = inputs[0], *x = inputs[1];
    float *dx = output;
#pragma omp parallel for num_threads(cpu_team(s->threads, s->n * s->in * s->out))
    for (int64_t first = 0; first < s->in; first += COLUMNS) {
        int64_t count = s->in - first < COLUMNS ? s->in - first : COLUMNS;
        for (int64_t n = 0; n < s->n; n++)
            memset(dx + n * s->in + first, 0, (size_t)count * sizeof *dx);
        for (int64_t i = 0; i < s->out; i++)
            for (int64_t n = 0; n < s->n; n++) {
                float *to = dx + n * s->in + first;
                simd()->elementwise->add(to, s->matrix + i * s->in + first, dy[n * s->out + i], to,
                                         count);
            }
        for (int64_t n = 0; s->silu && n < s->n; n++)
            simd()->linear->silu_gradient(x + n * s->in + first, dx + n * s->in + first, count);
    }
    return NULL;
}

const struct kernel cpu_linear_data = {data_create, data_prepare, data_run, free};

static const char *weights_create(const struct operation *o, void **state, struct needs *needs,
                                  int *in_place)
{
    const char *why = check_linear_weights(o);
    if (why)
        return why;
    struct linear_state s = state_of(o, &o->input[0], &o->input[1]);
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->workspace, s.n, s.in * (int64_t)sizeof(float));
    if (needs->workspace == SIZE_MAX)
        return "the map is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *weights_run(void *state, const void *const *inputs, void *output,
                               void *workspace)
{
    const struct linear_state *s = state;
    const float *x = inputs[0], *dy = inputs[1];
    *(float *)output = 0.0f;
    if (s->silu) {
        simd()->linear->silu(x, workspace, s->n * s->in);
        x = workspace;
    }
#pragma omp parallel for num_threads(cpu_team(s->threads, s->n * s->in * s->out))
    for (int64_t i = 0; i < s->out; i++) {
        float *row = s->gradient[0] ? s->gradient[0] + i * s->in : NULL;
        for (int64_t n = 0; row && n < s->n; n++)
            simd()->elementwise->add(row, x + n * s->in, dy[n * s->out + i], row, s->in);
        for (int64_t n = 0; s->gradient[1] && n < s->n; n++)
            s->gradient[1][i] += dy[n * s->out + i];
    }
    return NULL;
}

const struct kernel cpu_linear_weights = {weights_create, needs_nothing, weights_run, free};
