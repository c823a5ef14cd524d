/* OP_POOL. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>

enum { POSITIONS = 64 /* of a window, at most */ };

struct pool_state {
    struct pool pool;
    struct shape in, out;
    int threads;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct pool_state s = {o->pool, o->input[0].shape, o->output.shape, omp_get_max_threads()};
    const char *why = check_pool(o);
    if (why)
        return why;
    if (s.pool.size * s.pool.size > POSITIONS)
        return "windows are of 8×8 positions at most";
    *needs = (struct needs){0};
    *in_place = -1;
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

/* The pixels of a slice that output (y, x) sees; returns how many. */
static int find_pixels(const struct pool_state *s, const float *slice, int64_t y, int64_t x,
                       const float *pixel[POSITIONS])
{
    int64_t top = y * s->pool.stride - s->pool.pad, left = x * s->pool.stride - s->pool.pad;
    int count = 0;
    for (int64_t i = top; i < top + s->pool.size; i++)
        for (int64_t j = left; j < left + s->pool.size; j++)
            if (i >= 0 && i < s->in.h && j >= 0 && j < s->in.w)
                pixel[count++] = slice + (i * s->in.w + j) * s->in.c;
    return count;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct pool_state *s = state;
    const struct pool_simd *pool = simd()->pool;
    int64_t slice = s->in.h * s->in.w * s->in.c, rows = s->out.n * s->out.d * s->out.h;
#pragma omp parallel for num_threads(cpu_team(s->threads, shape_count(s->in)))
    for (int64_t row = 0; row < rows; row++)
        for (int64_t x = 0; x < s->out.w; x++) {
            const float *pixel[POSITIONS];
            float *to = (float *)output + (row * s->out.w + x) * s->out.c;
            int count = find_pixels(s, (const float *)inputs[0] + row / s->out.h * slice,
                                    row % s->out.h, x, pixel);
            if (s->pool.pooling == POOL_MAXIMUM)
                pool->maximum(pixel, count, s->out.c, to);
            else
                pool->sum(pixel, count, s->out.c, 1.0f / (float)count, to);
        }
    return NULL;
}

const struct kernel cpu_pool = {create, needs_nothing, run, free};
