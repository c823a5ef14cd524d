/* OP_GROUP_NORM in two passes over memory: moments of each group, then y = a·x + b per channel with
 * everything folded into a and b, SiLU, and where asked a resampling.
 *
 * A set is what shares statistics: a sample, or a slice of it. Its positions are cut into chunks
 * that depend on its shape alone; the moments of chunks are merged in their order. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/resample.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SOURCES = 2,
    BLOCK_ROWS = 256,     /* summed in f32 before they are merged in f64 */
    PACKED_CHANNELS = 64, /* narrower positions are packed into rows of about this many values */
    CHUNK_LEAST = 32,
    CHUNK_MOST = 2048,
    CHUNKS_WANTED = 64, /* of a set, for many threads to share */
};

/* Count, mean and Σ(x − mean)² of values. */
struct moments {
    double count, mean, square;
};

struct group_norm_state {
    struct group_norm attributes;
    enum dtype dtype;
    int64_t c, channels[SOURCES], offset[SOURCES], group_channels;
    int64_t sets, sets_per_sample, positions; /* h·w, or d·h·w */
    int64_t pack;                             /* positions in a row of sums */
    int64_t chunk, chunks;                    /* positions of a chunk; chunks of a set */
    int64_t scale_shift_stride;               /* 0: the same for all samples */
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

static const char *check(const struct operation *o)
{
    const struct group_norm *g = &o->group_norm;
    if (g->sources < 1 || g->sources > SOURCES || o->inputs != g->sources + g->scale_shift)
        return "a group norm reads one or two maps, and a scale and shift where it says so";
    int64_t c = 0;
    for (int i = 0; i < g->sources; i++) {
        if (!cpu_is_activation(&o->input[i]) || o->input[i].dtype != o->output.dtype)
            return "inputs and output must be channels-last, all f32 or all bf16";
        if (!cpu_same_map(&o->input[i], &o->input[0]))
            return "the sources differ in n, d, h or w";
        c += o->input[i].shape.c;
    }
    if (!cpu_is_activation(&o->output) || o->output.shape.c != c)
        return "the sources' channels do not add up to the output's";
    if (g->groups < 1 || c % g->groups)
        return "the groups do not divide the channels";
    if (o->weights != 2 || !cpu_is_vector(&o->weight[0], c) || !cpu_is_vector(&o->weight[1], c))
        return "weight and bias are not (c)";
    if (g->scale_shift) {
        const struct tensor *t = &o->input[g->sources];
        struct shape s = t->shape;
        if (!cpu_is_f32(t) || s.d * s.h * s.w != 1 || s.c != 2 * c ||
            (s.n != 1 && s.n != o->input[0].shape.n))
            return "scale and shift must be f32 (n or 1, 1, 1, 1, 2c)";
    }
    if (g->resampling == RESAMPLE_NONE && !cpu_same_map(&o->input[0], &o->output))
        return "input and output differ in n, d, h or w";
    if (g->per_slice && g->resampling != RESAMPLE_NONE && g->resample_depth)
        return "a norm of single slices cannot resample the depth";
    return NULL;
}

static void set_sizes(struct group_norm_state *s, const struct operation *o)
{
    struct shape in = o->input[0].shape;
    s->attributes = o->group_norm;
    s->dtype = o->output.dtype;
    s->c = o->output.shape.c;
    for (int i = 0; i < s->attributes.sources; i++) {
        s->offset[i] = i ? s->channels[0] : 0;
        s->channels[i] = o->input[i].shape.c;
    }
    s->group_channels = s->c / s->attributes.groups;
    s->sets_per_sample = s->attributes.per_slice ? in.d : 1;
    s->sets = in.n * s->sets_per_sample;
    s->positions = in.d / s->sets_per_sample * in.h * in.w;
    s->pack = s->c < PACKED_CHANNELS ? PACKED_CHANNELS / s->c : 1;
    s->chunk = (s->positions / CHUNKS_WANTED + CHUNK_LEAST) / CHUNK_LEAST * CHUNK_LEAST;
    if (s->chunk > CHUNK_MOST)
        s->chunk = CHUNK_MOST;
    s->chunks = (s->positions + s->chunk - 1) / s->chunk;
    if (s->attributes.scale_shift && o->input[s->attributes.sources].shape.n > 1)
        s->scale_shift_stride = 2 * s->c;
    s->threads = omp_get_max_threads();
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct group_norm_state s = {0};
    const char *why = check(o);
    if (why)
        return why;
    set_sizes(&s, o);
    bool resamples = s.attributes.resampling != RESAMPLE_NONE;
    if (resamples) {
        struct tensor in = o->input[0];
        in.shape.c = s.c;
        why = resample_plan(&s.map, &in, &o->output, s.attributes.resampling,
                            s.attributes.resample_depth);
        if (why)
            return why;
    }
    *needs = (struct needs){0};
    *in_place = s.attributes.sources == 1 && !resamples ? 0 : -1;
    cpu_reserve(&needs->prepared, 2 * s.c, sizeof(float));
    cpu_reserve(&needs->workspace, s.sets * s.chunks * s.attributes.groups, sizeof(struct moments));
    s.coefficients = cpu_reserve(&needs->workspace, s.sets * 2 * s.pack * s.c, sizeof(float));
    int64_t sums = 3 * s.pack * s.c, buffer = resamples ? resample_buffer(&s.map) : 0;
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
    weight_to_f32(&o->weight[0], 0, s->c, affine);
    weight_to_f32(&o->weight[1], 0, s->c, affine + s->c);
    s->affine = affine;
    return NULL;
}

/* Chan's formula: the moments of two sets of values together. */
static struct moments merged(struct moments a, struct moments b)
{
    double count = a.count + b.count, distance = b.mean - a.mean, share = b.count / count;
    return (struct moments){
        .count = count,
        .mean = a.mean + distance * share,
        .square = a.square + b.square + distance * distance * a.count * share,
    };
}

/* The moments of a group in a block, from the sums of its channels (in each of `pack` positions of
 * a row), seen from the value `origin` among them. Means are compared in f64: there their squares
 * lose nothing that f32 data could hold. */
static struct moments block_moments(const struct group_norm_state *s, int64_t group,
                                    const float *sums, int64_t rows, int64_t pack)
{
    const float *shift = sums, *sum = shift + s->pack * s->c, *square = sum + s->pack * s->c;
    double inverse = 1.0 / (double)rows, origin = 0.0;
    double mean = 0.0, mean_square = 0.0, within = 0.0;
    int64_t first = group * s->group_channels;
    for (int64_t channel = first; channel < first + s->group_channels; channel++) {
        int source = channel >= s->channels[0];
        int64_t at = s->pack * s->offset[source] + channel - s->offset[source];
        if (channel == first)
            origin = shift[at];
        for (int64_t i = 0; i < pack; i++, at += s->channels[source]) {
            double offset = sum[at] * inverse, distance = shift[at] - origin + offset;
            mean += distance;
            mean_square += distance * distance;
            within += square[at] - sum[at] * offset;
        }
    }
    double columns = (double)(s->group_channels * pack);
    return (struct moments){
        .count = columns * (double)rows,
        .mean = origin + mean / columns,
        .square = within + (double)rows * (mean_square - mean * mean / columns),
    };
}

static struct rows source_rows(const struct job *job, int source, int64_t position, int64_t pack)
{
    const struct group_norm_state *s = job->state;
    int64_t c = s->channels[source];
    char *data = (char *)job->inputs[source] + position * c * dtype_size(s->dtype);
    return (struct rows){data, s->dtype, pack * c};
}

/* Statistics of one chunk of a set. Positions that do not fill a row are one short row. */
static void measure_chunk(const struct job *job, int64_t set, int64_t chunk, float *sums)
{
    const struct group_norm_state *s = job->state;
    const struct group_norm_simd *norm = simd()->group_norm;
    struct moments *moments = job->moments + (set * s->chunks + chunk) * s->attributes.groups;
    int64_t column = s->pack * s->c, start = chunk * s->chunk, rows, pack;
    int64_t end = start + s->chunk < s->positions ? start + s->chunk : s->positions;
    for (int64_t at = start; at < end; at += rows * pack) {
        pack = end - at < s->pack ? end - at : s->pack;
        rows = (end - at) / pack < BLOCK_ROWS ? (end - at) / pack : BLOCK_ROWS;
        for (int i = 0; i < s->attributes.sources; i++) {
            float *shift = sums + s->pack * s->offset[i];
            struct rows x = source_rows(job, i, set * s->positions + at, pack);
            norm->sums(x, rows, x.stride, shift, shift + column, shift + 2 * column);
        }
        for (int64_t group = 0; group < s->attributes.groups; group++) {
            struct moments block = block_moments(s, group, sums, rows, pack);
            moments[group] = at == start ? block : merged(moments[group], block);
        }
    }
}

/* Fold a group's statistics, weight, bias, scale and shift into a and b of its channels. b is made
 * for the rounded a, so that values at the mean come out as the bias. */
static void fold_group(const struct job *job, int64_t set, int64_t group)
{
    const struct group_norm_state *s = job->state;
    const struct moments *moments = job->moments + set * s->chunks * s->attributes.groups + group;
    struct moments all = moments[0];
    for (int64_t chunk = 1; chunk < s->chunks; chunk++)
        all = merged(all, moments[chunk * s->attributes.groups]);
    double variance = fmax(all.square / all.count, 0.0);
    double deviation = sqrt(variance + (double)s->attributes.epsilon);
    float *a = job->coefficients + set * 2 * s->pack * s->c, *b = a + s->pack * s->c;
    int64_t first = group * s->group_channels;
    for (int64_t channel = first; channel < first + s->group_channels; channel++) {
        double scale = s->affine[channel] / deviation, shift = s->affine[s->c + channel];
        if (s->attributes.scale_shift) {
            const float *vector = (const float *)job->inputs[s->attributes.sources] +
                                  set / s->sets_per_sample * s->scale_shift_stride;
            double factor = 1.0 + (double)vector[channel];
            scale *= factor;
            shift = shift * factor + (double)vector[s->c + channel];
        }
        for (int64_t i = 0; i < s->pack; i++) {
            a[i * s->c + channel] = (float)scale;
            b[i * s->c + channel] = (float)(shift - all.mean * (double)(float)scale);
        }
    }
}

/* Positions position … position+count−1, counted over all sets and within one of them, to the
 * (count, c) values at y. */
static void normalize(const struct job *job, int64_t position, int64_t count, void *y,
                      enum dtype dtype)
{
    const struct group_norm_state *s = job->state;
    const struct group_norm_simd *norm = simd()->group_norm;
    const float *a = job->coefficients + position / s->positions * 2 * s->pack * s->c;
    const float *b = a + s->pack * s->c;
    int64_t size = dtype_size(dtype), done = 0;
    if (s->attributes.sources == 1 && s->pack > 1) {
        struct rows x = source_rows(job, 0, position, s->pack), to = {y, dtype, x.stride};
        norm->apply(x, to, count / s->pack, x.stride, a, b, s->attributes.silu);
        done = count / s->pack * s->pack;
    }
    for (int i = 0; i < s->attributes.sources && done < count; i++) {
        char *first = (char *)y + (done * s->c + s->offset[i]) * size;
        norm->apply(source_rows(job, i, position + done, 1), (struct rows){first, dtype, s->c},
                    count - done, s->channels[i], a + s->offset[i], b + s->offset[i],
                    s->attributes.silu);
    }
}

static void normalize_chunk(const struct job *job, int64_t set, int64_t chunk)
{
    const struct group_norm_state *s = job->state;
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
    int64_t chunks = s->sets * s->chunks, groups = s->attributes.groups, rows = s->map.rows;
#pragma omp parallel num_threads(cpu_team(s->threads, s->sets * s->positions * s->c))
    {
#pragma omp for
        for (int64_t i = 0; i < chunks; i++)
            measure_chunk(&job, i / s->chunks, i % s->chunks, own_slab(&job));
#pragma omp for
        for (int64_t i = 0; i < s->sets * groups; i++)
            fold_group(&job, i / groups, i % groups);
        if (s->attributes.resampling == RESAMPLE_NONE) {
#pragma omp for
            for (int64_t i = 0; i < chunks; i++)
                normalize_chunk(&job, i / s->chunks, i % s->chunks);
        } else {
#pragma omp for
            for (int64_t i = 0; i < rows; i++)
                resample_row(&s->map, i, read_normalized, &job, output, own_slab(&job));
        }
    }
    return NULL;
}

const struct kernel cpu_group_norm = {create, prepare, run, free};
