/* OP_GROUP_NORM_SUMS and OP_GROUP_NORM_DATA. With z = a·x + b, dz the gradient with respect to z,
 * N values in a group, x' = (x − mean)/deviation:
 *   dx = a·dz − Σ a·dz / N − x'·Σ a·dz·x' / N, sums over the group.
 * The first operation measures the norm again and takes the sums of each channel, chunk by chunk in
 * their order; the second is one pass over the map. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/group_norm.h"

#include <stdlib.h>

enum { BLOCK_ROWS = 256 /* summed in f32 before they are summed in f64 */ };

struct sums_state {
    struct group_norm attributes;
    struct group_norm_sets sets;
    size_t partial, slabs, slab_bytes; /* in the workspace, after moments (set, chunk, group) */
    const float *affine;               /* weight (c), bias (c) */
    int threads;
};

struct sums_job {
    const struct sums_state *state;
    const void *const *inputs;
    float *output;           /* (set, GROUP_NORM_SUMS, c) */
    struct moments *moments; /* (set, chunk, group) */
    double *partial;         /* (set, chunk, 2, c): Σ dz, Σ dz·(x − mean) of a chunk */
    char *slabs;             /* of each thread */
};

/* The output's parts, in their order. */
enum { SUM, PRODUCT, FOLDED };

static struct group_norm_folded folded(const float *parts, int64_t c)
{
    const float *first = parts + FOLDED * c;
    return (struct group_norm_folded){first, first + c, first + 2 * c, first + 3 * c,
                                      first + 4 * c};
}

static const char *sums_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    struct operation forward = *o;
    struct sums_state s = {.attributes = o->group_norm, .threads = omp_get_max_threads()};
    const char *why = check_group_norm_sums(o);
    if (why)
        return why;
    forward.output = o->input[--forward.inputs];
    group_norm_sets(&s.sets, &forward);
    int64_t chunks = s.sets.sets * s.sets.chunks;
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->prepared, 2 * s.sets.c, sizeof(float));
    cpu_reserve(&needs->workspace, chunks * s.sets.groups, sizeof(struct moments));
    s.partial = cpu_reserve(&needs->workspace, chunks * 2 * s.sets.c, sizeof(double));
    cpu_reserve(&s.slab_bytes, 3 * s.sets.pack * s.sets.c, sizeof(float));
    s.slabs = cpu_reserve(&needs->workspace, s.threads, (int64_t)s.slab_bytes);
    if (needs->workspace == SIZE_MAX)
        return "the maps are too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *sums_prepare(void *state, const struct operation *o, void *prepared,
                                void *scratch)
{
    (void)scratch;
    struct sums_state *s = state;
    float *affine = prepared;
    weight_to_f32(&o->weight[0], 0, s->sets.c, affine);
    weight_to_f32(&o->weight[1], 0, s->sets.c, affine + s->sets.c);
    s->affine = affine;
    return NULL;
}

static float *own_slab(const struct sums_job *job)
{
    return (float *)(job->slabs + (size_t)omp_get_thread_num() * job->state->slab_bytes);
}

static float *parts_of(const struct sums_job *job, int64_t set)
{
    return job->output + set * GROUP_NORM_SUMS * job->state->sets.c;
}

/* a, b and mean of a group's channels. */
static void fold_group(const struct sums_job *job, int64_t set, int64_t group)
{
    const struct group_norm_sets *s = &job->state->sets;
    struct moments all = group_norm_moments(s, job->moments, set, group);
    double deviation = group_norm_deviation(all, job->state->attributes.epsilon);
    float *a = parts_of(job, set) + FOLDED * s->c, *b = a + s->c, *mean = b + s->c;
    int64_t first = group * s->group_channels;
    for (int64_t channel = first; channel < first + s->group_channels; channel++) {
        group_norm_fold(s, job->state->affine, job->inputs, set, channel, all.mean, deviation,
                        a + channel, b + channel);
        mean[channel] = (float)all.mean;
    }
}

static void sum_chunk(const struct sums_job *job, int64_t set, int64_t chunk, float *sum)
{
    const struct group_norm_sets *s = &job->state->sets;
    const void *dy = job->inputs[s->sources + s->scale_shift];
    double *total = job->partial + (set * s->chunks + chunk) * 2 * s->c;
    float *product = sum + s->c;
    int64_t start = chunk * s->chunk;
    int64_t end = start + s->chunk < s->positions ? start + s->chunk : s->positions;
    for (int64_t j = 0; j < 2 * s->c; j++)
        total[j] = 0.0;
    for (int64_t at = start; at < end; at += BLOCK_ROWS) {
        int64_t rows = end - at < BLOCK_ROWS ? end - at : BLOCK_ROWS;
        int64_t position = set * s->positions + at;
        for (int i = 0; i < s->sources; i++) {
            struct group_norm_folded f = folded(parts_of(job, set) + s->offset[i], s->c);
            int64_t first = position * s->c + s->offset[i];
            struct rows gradient = {(char *)(uintptr_t)dy + first * dtype_size(s->dtype), s->dtype,
                                    s->c};
            simd()->group_norm_gradient->sums(
                group_norm_rows(s, job->inputs, i, position, 1), gradient, rows, s->channels[i], &f,
                job->state->attributes.silu, sum + s->offset[i], product + s->offset[i]);
        }
        for (int64_t j = 0; j < 2 * s->c; j++)
            total[j] += (double)sum[j];
    }
}

/* Sums of a group's channels, and what they make of the gradient of x. */
static void finish_group(const struct sums_job *job, int64_t set, int64_t group)
{
    const struct group_norm_sets *s = &job->state->sets;
    struct moments all = group_norm_moments(s, job->moments, set, group);
    double deviation = group_norm_deviation(all, job->state->attributes.epsilon);
    double gradient = 0.0, product_gradient = 0.0, off = (double)(float)all.mean - all.mean;
    float *parts = parts_of(job, set), *a = parts + FOLDED * s->c;
    float *slope = a + 3 * s->c, *constant = slope + s->c;
    int64_t first = group * s->group_channels, end = first + s->group_channels;
    for (int64_t channel = first; channel < end; channel++) {
        double sum = 0.0, product = 0.0;
        const double *partial = job->partial + set * s->chunks * 2 * s->c + channel;
        for (int64_t chunk = 0; chunk < s->chunks; chunk++, partial += 2 * s->c) {
            sum += partial[0];
            product += partial[s->c];
        }
        product = (product + off * sum) / deviation;
        parts[SUM * s->c + channel] = (float)sum;
        parts[PRODUCT * s->c + channel] = (float)product;
        gradient += a[channel] * sum / all.count;
        product_gradient += a[channel] * product / all.count;
    }
    for (int64_t channel = first; channel < end; channel++) {
        slope[channel] = (float)(-product_gradient / deviation);
        constant[channel] = (float)(-gradient - off * product_gradient / deviation);
    }
}

static const char *sums_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct sums_state *s = state;
    const struct group_norm_sets *sets = &s->sets;
    char *memory = workspace;
    const struct sums_job job = {
        .state = s,
        .inputs = inputs,
        .output = output,
        .moments = workspace,
        .partial = (double *)(memory + s->partial),
        .slabs = memory + s->slabs,
    };
    int64_t chunks = sets->sets * sets->chunks, groups = sets->groups;
#pragma omp parallel num_threads(cpu_team(s->threads, sets->sets * sets->positions * sets->c))
    {
#pragma omp for
        for (int64_t i = 0; i < chunks; i++)
            group_norm_measure(sets, inputs, i / sets->chunks, i % sets->chunks, own_slab(&job),
                               job.moments + i * groups);
#pragma omp for
        for (int64_t i = 0; i < sets->sets * groups; i++)
            fold_group(&job, i / groups, i % groups);
#pragma omp for
        for (int64_t i = 0; i < chunks; i++)
            sum_chunk(&job, i / sets->chunks, i % sets->chunks, own_slab(&job));
#pragma omp for
        for (int64_t i = 0; i < sets->sets * groups; i++)
            finish_group(&job, i / groups, i % groups);
    }
    return NULL;
}

const struct kernel cpu_group_norm_sums = {sums_create, sums_prepare, sums_run, free};

struct data_state {
    enum dtype dtype;
    bool silu, added;
    int64_t channels, c, offset; /* of the source; of dy; of the source in dy */
    int64_t positions, set;      /* in all; of a set */
    int threads;
};

enum { ROWS_AT_ONCE = 64 };

static const char *data_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    const struct tensor *x = &o->input[0], *dy = &o->input[1], *sums = &o->input[2];
    const struct group_norm *g = &o->group_norm;
    const char *why = check_group_norm_data(o);
    if (why)
        return why;
    struct shape s = x->shape;
    int64_t positions = s.n * s.d * s.h * s.w;
    struct data_state d = {
        .dtype = x->dtype,
        .silu = g->silu,
        .added = o->inputs == 4,
        .channels = s.c,
        .c = dy->shape.c,
        .offset = g->source ? dy->shape.c - s.c : 0,
        .positions = positions,
        .set = positions / sums->shape.n,
        .threads = omp_get_max_threads(),
    };
    *needs = (struct needs){0};
    *in_place = d.added ? 3 : g->sources == 1 ? 1 : 0;
    *state = cpu_keep(&d, sizeof d);
    return *state ? NULL : "out of memory";
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct data_state *d = state;
    const float *sums = inputs[2];
    int64_t size = dtype_size(d->dtype), per_set = (d->set + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
#pragma omp parallel for num_threads(cpu_team(d->threads, d->positions * d->channels))
    for (int64_t unit = 0; unit < d->positions / d->set * per_set; unit++) {
        int64_t set = unit / per_set, start = unit % per_set * ROWS_AT_ONCE;
        int64_t count = d->set - start < ROWS_AT_ONCE ? d->set - start : ROWS_AT_ONCE;
        int64_t position = set * d->set + start, at = position * d->channels * size;
        struct group_norm_folded f = folded(sums + set * GROUP_NORM_SUMS * d->c + d->offset, d->c);
        struct rows x = {(char *)(uintptr_t)inputs[0] + at, d->dtype, d->channels};
        struct rows dy = {(char *)(uintptr_t)inputs[1] + (position * d->c + d->offset) * size,
                          d->dtype, d->c};
        struct rows added = {d->added ? (char *)(uintptr_t)inputs[3] + at : NULL, d->dtype,
                             d->channels};
        struct rows dx = {(char *)output + at, d->dtype, d->channels};
        simd()->group_norm_gradient->apply(x, dy, added, dx, count, d->channels, &f, d->silu);
    }
    return NULL;
}

const struct kernel cpu_group_norm_data = {data_create, needs_nothing, data_run, free};
