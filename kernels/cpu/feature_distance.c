/* OP_FEATURE_DISTANCE and OP_FEATURE_DISTANCE_DATA. With x' = x/(‖x‖ + e), g = weight·(x' − y'):
 *   distance = mean Σ g·(x' − y')     dx = factor·(g − x·Σ g·x / (‖x‖·(‖x‖ + e)))/(‖x‖ + e),
 * factor = 2·dL/positions. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>

enum { POSITIONS = 64 /* of a block, whose sum is made in order */ };

static const double least_norm = 1e-10;

struct distance_state {
    int64_t positions, c, blocks;
    enum dtype dtype;
    size_t slabs, slab_bytes; /* in the workspace, after a sum a block */
    const float *weights;     /* (c) */
    int threads;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool gradient = o->kind == OP_FEATURE_DISTANCE_DATA;
    const struct tensor *x = &o->input[0];
    const char *why = check_feature_distance(o);
    if (why)
        return why;
    struct distance_state s = {
        .positions = shape_count(x->shape) / x->shape.c,
        .c = x->shape.c,
        .dtype = x->dtype,
        .threads = omp_get_max_threads(),
    };
    s.blocks = (s.positions + POSITIONS - 1) / POSITIONS;
    *needs = (struct needs){0};
    *in_place = gradient ? 0 : -1;
    cpu_reserve(&needs->prepared, s.c, sizeof(float));
    cpu_reserve(&needs->workspace, s.blocks, sizeof(double));
    cpu_reserve(&s.slab_bytes, 3 * s.c, sizeof(float));
    s.slabs = cpu_reserve(&needs->workspace, s.threads, (int64_t)s.slab_bytes);
    if (needs->workspace == SIZE_MAX)
        return "the map is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    (void)scratch;
    struct distance_state *s = state;
    weight_to_f32(&o->weight[0], 0, s->c, prepared);
    s->weights = prepared;
    return NULL;
}

static double norm_of(const float *x, int64_t c)
{
    double sum = 0.0;
    for (int64_t j = 0; j < c; j++)
        sum += (double)x[j] * (double)x[j];
    return sqrt(sum);
}

static double distance(const struct distance_state *s, const float *x, const float *y)
{
    double a = 1.0 / (norm_of(x, s->c) + least_norm), b = 1.0 / (norm_of(y, s->c) + least_norm);
    double sum = 0.0;
    for (int64_t j = 0; j < s->c; j++) {
        double difference = a * x[j] - b * y[j];
        sum += s->weights[j] * difference * difference;
    }
    return sum;
}

static void gradient(const struct distance_state *s, const float *x, const float *y, double factor,
                     float *dx)
{
    double norm = norm_of(x, s->c), a = 1.0 / (norm + least_norm), along = 0.0;
    double b = 1.0 / (norm_of(y, s->c) + least_norm);
    for (int64_t j = 0; j < s->c; j++)
        along += s->weights[j] * (a * x[j] - b * y[j]) * x[j];
    along *= norm > 0.0 ? a / norm : 0.0;
    for (int64_t j = 0; j < s->c; j++)
        dx[j] = (float)(factor * a * (s->weights[j] * (a * x[j] - b * y[j]) - along * x[j]));
}

static float *own_slab(const struct distance_state *s, char *workspace)
{
    return (float *)(workspace + s->slabs + (size_t)omp_get_thread_num() * s->slab_bytes);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct distance_state *s = state;
    double *sums = workspace, total = 0.0;
#pragma omp parallel for num_threads(cpu_team(s->threads, s->positions * s->c))
    for (int64_t block = 0; block < s->blocks; block++) {
        float *slab = own_slab(s, workspace);
        int64_t end =
            (block + 1) * POSITIONS < s->positions ? (block + 1) * POSITIONS : s->positions;
        sums[block] = 0.0;
        for (int64_t i = block * POSITIONS; i < end; i++)
            sums[block] +=
                distance(s, activation_to_f32(inputs[0], s->dtype, i * s->c, s->c, slab),
                         activation_to_f32(inputs[1], s->dtype, i * s->c, s->c, slab + s->c));
    }
    for (int64_t block = 0; block < s->blocks; block++)
        total += sums[block];
    *(float *)output = (float)(total / (double)s->positions);
    return NULL;
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct distance_state *s = state;
    double factor = 2.0 * (double)*(const float *)inputs[2] / (double)s->positions;
#pragma omp parallel for num_threads(cpu_team(s->threads, s->positions * s->c))
    for (int64_t i = 0; i < s->positions; i++) {
        float *slab = own_slab(s, workspace);
        const float *x = activation_to_f32(inputs[0], s->dtype, i * s->c, s->c, slab);
        const float *y = activation_to_f32(inputs[1], s->dtype, i * s->c, s->c, slab + s->c);
        float *dx = s->dtype == DTYPE_F32 ? (float *)output + i * s->c : slab + 2 * s->c;
        gradient(s, x, y, factor, dx);
        if (s->dtype == DTYPE_BF16)
            f32_to_bf16(dx, (uint16_t *)output + i * s->c, s->c);
    }
    return NULL;
}

const struct kernel cpu_feature_distance = {create, prepare, run, free};
const struct kernel cpu_feature_distance_data = {create, prepare, data_run, free};
