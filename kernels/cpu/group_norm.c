/* OP_GROUP_NORM in two passes over memory: moments of each group, then y = a·x + b per channel with
 * everything folded into a and b, SiLU, and where asked a resampling. */
#include "kernels/cpu/group_norm.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/resample.h"

#include <stdlib.h>

struct group_norm_state {
    struct group_norm attributes;
    struct group_norm_sets sets;
    struct resample_map map;
    size_t coefficients, slabs,
        slab_bytes;      /* in the workspace, after moments (set, chunk, group) */
    const float *affine; /* weight (c), bias (c) */
    int threads;
};

/* One run: the state with its memory. */
struct job {
    const struct group_norm_state *state;
    const void *const *inputs;
    void *output;
    struct moments *moments; /* (set, chunk, group) */
    float *coefficients;     /* (set, 2, pack·c): a, then b */
    char *slabs;             /* of each thread: sums, or the buffer of the resampling */
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct group_norm_state s = {0};
    const char *why = check_group_norm(o);
    if (why)
        return why;
    s.attributes = o->group_norm;
    s.threads = omp_get_max_threads();
    group_norm_sets(&s.sets, o);
    const struct group_norm_sets *sets = &s.sets;
    bool resamples = s.attributes.resampling != RESAMPLE_NONE;
    if (resamples) {
        struct tensor in = o->input[0];
        in.shape.c = sets->c;
        why = resample_plan(&s.map, &in, &o->output, s.attributes.resampling,
                            s.attributes.resample_depth);
        if (why)
            return why;
    }
    *needs = (struct needs){0};
    *in_place = s.attributes.sources == 1 && !resamples ? 0 : -1;
    cpu_reserve(&needs->prepared, 2 * sets->c, sizeof(float));
    cpu_reserve(&needs->workspace, sets->sets * sets->chunks * sets->groups,
                sizeof(struct moments));
    s.coefficients =
        cpu_reserve(&needs->workspace, sets->sets * 2 * sets->pack * sets->c, sizeof(float));
    int64_t sums = 3 * sets->pack * sets->c, buffer = resamples ? resample_buffer(&s.map) : 0;
    cpu_reserve(&s.slab_bytes, sums > buffer ? sums : buffer, sizeof(float));
    s.slabs = cpu_reserve(&needs->workspace, s.threads, (int64_t)s.slab_bytes);
    if (needs->workspace == SIZE_MAX)
        return "the maps are too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    (void)scratch;
    struct group_norm_state *s = state;
    float *affine = prepared;
    weight_to_f32(&o->weight[0], 0, s->sets.c, affine);
    weight_to_f32(&o->weight[1], 0, s->sets.c, affine + s->sets.c);
    s->affine = affine;
    return NULL;
}

/* Fold a group's statistics, weight, bias, scale and shift into a and b of its channels. */
static void fold_group(const struct job *job, int64_t set, int64_t group)
{
    const struct group_norm_sets *s = &job->state->sets;
    struct moments all = group_norm_moments(s, job->moments, set, group);
    double deviation = group_norm_deviation(all, job->state->attributes.epsilon);
    float *a = job->coefficients + set * 2 * s->pack * s->c, *b = a + s->pack * s->c;
    int64_t first = group * s->group_channels;
    for (int64_t channel = first; channel < first + s->group_channels; channel++)
        for (int64_t i = 0; i < s->pack; i++)
            group_norm_fold(s, job->state->affine, job->inputs, set, channel, all.mean, deviation,
                            &a[i * s->c + channel], &b[i * s->c + channel]);
}

/* Positions position … position+count−1, counted over all sets and within one of them, to the
 * (count, c) values at y. */
static void normalize(const struct job *job, int64_t position, int64_t count, void *y,
                      enum dtype dtype)
{
    const struct group_norm_sets *s = &job->state->sets;
    const struct group_norm_simd *norm = simd()->group_norm;
    const float *a = job->coefficients + position / s->positions * 2 * s->pack * s->c;
    const float *b = a + s->pack * s->c;
    int64_t size = dtype_size(dtype), done = 0;
    if (s->sources == 1 && s->pack > 1) {
        struct rows x = group_norm_rows(s, job->inputs, 0, position, s->pack),
                    to = {y, dtype, x.stride};
        norm->apply(x, to, count / s->pack, x.stride, a, b, job->state->attributes.silu);
        done = count / s->pack * s->pack;
    }
    for (int i = 0; i < s->sources && done < count; i++) {
        char *first = (char *)y + (done * s->c + s->offset[i]) * size;
        norm->apply(group_norm_rows(s, job->inputs, i, position + done, 1),
                    (struct rows){first, dtype, s->c}, count - done, s->channels[i],
                    a + s->offset[i], b + s->offset[i], job->state->attributes.silu);
    }
}

static void normalize_chunk(const struct job *job, int64_t set, int64_t chunk)
{
    const struct group_norm_sets *s = &job->state->sets;
    int64_t start = chunk * s->chunk, left = s->positions - start;
    int64_t position = set * s->positions + start;
    normalize(job, position, left < s->chunk ? left : s->chunk,
              (char *)job->output + position * s->c * dtype_size(s->dtype), s->dtype);
}

static const void *read_normalized(const void *context, int64_t row, int64_t column, int64_t count,
                                   void *buffer)
{
    const struct job *job = context;
    const struct resample_map *map = &job->state->map;
    normalize(job, row * map->in.w + column, count, buffer,
              map->resampling == RESAMPLE_UP ? map->dtype : DTYPE_F32);
    return buffer;
}

static float *own_slab(const struct job *job)
{
    return (float *)(job->slabs + (size_t)omp_get_thread_num() * job->state->slab_bytes);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct group_norm_state *s = state;
    char *memory = workspace;
    const struct job job = {
        .state = s,
        .inputs = inputs,
        .output = output,
        .moments = workspace,
        .coefficients = (float *)(memory + s->coefficients),
        .slabs = memory + s->slabs,
    };
    const struct group_norm_sets *sets = &s->sets;
    int64_t chunks = sets->sets * sets->chunks, groups = sets->groups, rows = s->map.rows;
#pragma omp parallel num_threads(cpu_team(s->threads, sets->sets * sets->positions * sets->c))
    {
#pragma omp for
        for (int64_t i = 0; i < chunks; i++)
            group_norm_measure(sets, inputs, i / sets->chunks, i % sets->chunks, own_slab(&job),
                               job.moments + i * groups);
#pragma omp for
        for (int64_t i = 0; i < sets->sets * groups; i++)
            fold_group(&job, i / groups, i % groups);
        if (s->attributes.resampling == RESAMPLE_NONE) {
#pragma omp for
            for (int64_t i = 0; i < chunks; i++)
                normalize_chunk(&job, i / sets->chunks, i % sets->chunks);
        } else {
#pragma omp for
            for (int64_t i = 0; i < rows; i++)
                resample_row(&s->map, i, read_normalized, &job, output, own_slab(&job));
        }
    }
    return NULL;
}

const struct kernel cpu_group_norm = {create, prepare, run, free};
