#include "kernels/cpu/group_norm.h"
#include "kernels/cpu/cpu.h"

#include <math.h>

enum {
    BLOCK_ROWS = 256,     /* summed in f32 before they are merged in f64 */
    PACKED_CHANNELS = 64, /* narrower positions are packed into rows of about this many values */
    CHUNK_LEAST = 32,
    CHUNK_MOST = 2048,
    CHUNKS_WANTED = 64, /* of a set, for many threads to share */
};

void group_norm_sets(struct group_norm_sets *s, const struct operation *o)
{
    const struct group_norm *g = &o->group_norm;
    struct shape in = o->input[0].shape;
    *s = (struct group_norm_sets){.sources = g->sources,
                                  .groups = g->groups,
                                  .dtype = o->input[0].dtype,
                                  .scale_shift = g->scale_shift};
    for (int i = 0; i < s->sources; i++) {
        s->offset[i] = s->c;
        s->channels[i] = o->input[i].shape.c;
        s->c += s->channels[i];
    }
    s->group_channels = s->c / s->groups;
    s->sets_per_sample = g->per_slice ? in.d : 1;
    s->sets = g->per_batch ? 1 : in.n * s->sets_per_sample;
    s->positions = in.n * in.d / s->sets * in.h * in.w;
    s->pack = s->c < PACKED_CHANNELS ? PACKED_CHANNELS / s->c : 1;
    s->chunk = (s->positions / CHUNKS_WANTED + CHUNK_LEAST) / CHUNK_LEAST * CHUNK_LEAST;
    if (s->chunk > CHUNK_MOST)
        s->chunk = CHUNK_MOST;
    s->chunks = (s->positions + s->chunk - 1) / s->chunk;
    if (s->scale_shift && o->input[s->sources].shape.n > 1)
        s->scale_shift_stride = 2 * s->c;
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
static struct moments block_moments(const struct group_norm_sets *s, int64_t group,
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

struct rows group_norm_rows(const struct group_norm_sets *s, const void *const *inputs, int source,
                            int64_t position, int64_t pack)
{
    int64_t c = s->channels[source];
    char *data = (char *)(uintptr_t)inputs[source] + position * c * dtype_size(s->dtype);
    return (struct rows){data, s->dtype, pack * c};
}

/* Positions that do not fill a row are one short row. */
void group_norm_measure(const struct group_norm_sets *s, const void *const *inputs, int64_t set,
                        int64_t chunk, float *sums, struct moments *moments)
{
    const struct group_norm_simd *norm = simd()->group_norm;
    int64_t column = s->pack * s->c, start = chunk * s->chunk, rows, pack;
    int64_t end = start + s->chunk < s->positions ? start + s->chunk : s->positions;
    for (int64_t at = start; at < end; at += rows * pack) {
        pack = end - at < s->pack ? end - at : s->pack;
        rows = (end - at) / pack < BLOCK_ROWS ? (end - at) / pack : BLOCK_ROWS;
        for (int i = 0; i < s->sources; i++) {
            float *shift = sums + s->pack * s->offset[i];
            struct rows x = group_norm_rows(s, inputs, i, set * s->positions + at, pack);
            norm->sums(x, rows, x.stride, shift, shift + column, shift + 2 * column);
        }
        for (int64_t group = 0; group < s->groups; group++) {
            struct moments block = block_moments(s, group, sums, rows, pack);
            moments[group] = at == start ? block : merged(moments[group], block);
        }
    }
}

struct moments group_norm_moments(const struct group_norm_sets *s, const struct moments *moments,
                                  int64_t set, int64_t group)
{
    const struct moments *first = moments + set * s->chunks * s->groups + group;
    struct moments all = first[0];
    for (int64_t chunk = 1; chunk < s->chunks; chunk++)
        all = merged(all, first[chunk * s->groups]);
    return all;
}

double group_norm_deviation(struct moments all, float epsilon)
{
    return sqrt(fmax(all.square / all.count, 0.0) + (double)epsilon);
}

void group_norm_fold(const struct group_norm_sets *s, const float *affine,
                     const void *const *inputs, int64_t set, int64_t channel, double mean,
                     double deviation, float *a, float *b)
{
    double scale = affine[channel] / deviation, shift = affine[s->c + channel];
    if (s->scale_shift) {
        const float *vector =
            (const float *)inputs[s->sources] + set / s->sets_per_sample * s->scale_shift_stride;
        double factor = 1.0 + (double)vector[channel];
        scale *= factor;
        shift = shift * factor + (double)vector[s->c + channel];
    }
    *a = (float)scale;
    *b = (float)(shift - mean * (double)*a);
}
