/* OP_MAX_POOL and OP_MAX_POOL_DATA. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

/* Channels of a window at a time. */
enum { CHANNELS = 256, WINDOW = 4 };

struct max_pool_state {
    struct shape large, small;
    enum dtype dtype;
    int threads;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool gradient = o->kind == OP_MAX_POOL_DATA;
    const struct tensor *large = &o->input[0], *small = gradient ? &o->input[1] : &o->output;
    const char *why = check_max_pool(o);
    if (why)
        return why;
    struct max_pool_state s = {large->shape, small->shape, large->dtype, omp_get_max_threads()};
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

/* Element of position k of a window of the large map. */
static int64_t large_at(const struct max_pool_state *s, int64_t row, int64_t column, int k)
{
    int64_t slice = row / s->small.h, h = row % s->small.h * 2 + k / 2;
    return ((slice * s->large.h + h) * s->large.w + 2 * column + k % 2) * s->large.c;
}

static void put(const struct max_pool_state *s, const float *from, void *to, int64_t first,
                int64_t count)
{
    if (s->dtype == DTYPE_F32)
        memcpy((float *)to + first, from, (size_t)count * sizeof *from);
    else
        f32_to_bf16(from, (uint16_t *)to + first, count);
}

/* Channels first … first+count−1 of one window: the maximum, or, with dy, dy for the first of the
 * largest and 0 for the others. */
static void pool(const struct max_pool_state *s, const void *x, const void *dy, void *output,
                 int64_t row, int64_t column, int64_t first, int64_t count)
{
    float buffer[WINDOW + 1][CHANNELS], most[CHANNELS], given[CHANNELS];
    const float *value[WINDOW];
    int64_t small_at = (row * s->small.w + column) * s->small.c + first;
    for (int k = 0; k < WINDOW; k++)
        value[k] =
            activation_to_f32(x, s->dtype, large_at(s, row, column, k) + first, count, buffer[k]);
    for (int64_t j = 0; j < count; j++) {
        most[j] = value[0][j];
        for (int k = 1; k < WINDOW; k++)
            most[j] = value[k][j] > most[j] ? value[k][j] : most[j];
    }
    if (!dy) {
        put(s, most, output, small_at, count);
        return;
    }
    const float *gradient = activation_to_f32(dy, s->dtype, small_at, count, buffer[WINDOW]);
    memcpy(given, gradient, (size_t)count * sizeof *given);
    for (int k = 0; k < WINDOW; k++) {
        float to[CHANNELS];
        for (int64_t j = 0; j < count; j++) {
            bool takes = value[k][j] == most[j];
            to[j] = takes ? given[j] : 0.0f;
            given[j] = takes ? 0.0f : given[j];
        }
        put(s, to, output, large_at(s, row, column, k) + first, count);
    }
}

static void pool_all(const struct max_pool_state *s, const void *x, const void *dy, void *output)
{
    int64_t c = s->small.c, rows = s->small.n * s->small.d * s->small.h;
#pragma omp parallel for num_threads(cpu_team(s->threads, shape_count(s->large)))
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < s->small.w; column++)
            for (int64_t first = 0; first < c; first += CHANNELS)
                pool(s, x, dy, output, row, column, first,
                     c - first < CHANNELS ? c - first : CHANNELS);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    pool_all(state, inputs[0], NULL, output);
    return NULL;
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct max_pool_state *s = state;
    if (s->large.h % 2 || s->large.w % 2) /* the row or column left out */
        memset(output, 0, (size_t)(shape_count(s->large) * dtype_size(s->dtype)));
    pool_all(s, inputs[0], inputs[1], output);
    return NULL;
}

const struct kernel cpu_max_pool = {create, needs_nothing, run, free};
const struct kernel cpu_max_pool_data = {create, needs_nothing, data_run, free};
