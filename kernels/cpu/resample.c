/* OP_RESAMPLE: nearest ×2, or means of 2×2(×2). */
#include "kernels/cpu/resample.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

/* Values read at a time: a piece and what is made of it stay in the second cache. */
enum { PIECE_VALUES = 8192, SCALED_AT_ONCE = 1024 };

const char *resample_plan(struct resample_map *map, const struct tensor *in,
                          const struct tensor *out, enum resampling resampling, bool depth)
{
    struct shape from = in->shape, to = out->shape;
    bool up = resampling == RESAMPLE_UP;
    const char *why = check_resampling(in, out, resampling, depth);
    if (why)
        return why;
    struct shape small = up ? from : to;
    *map = (struct resample_map){
        .in = from,
        .out = to,
        .dtype = out->dtype,
        .resampling = resampling,
        .depth_factor = depth ? 2 : 1,
        .down_factor = depth ? 0.125f : 0.25f,
        .rows = small.n * small.d * small.h,
        .piece = PIECE_VALUES / from.c / 2 * 2,
    };
    map->row_count = up ? from.w * from.c : 2 * map->depth_factor * from.w * from.c;
    if (map->piece < 2)
        map->piece = 2;
    if (map->piece > from.w + from.w % 2)
        map->piece = from.w + from.w % 2;
    return NULL;
}

int64_t resample_buffer(const struct resample_map *map)
{
    return map->piece * map->in.c + map->piece / 2 * map->in.c;
}

/* Row b (of 2) of plane a (of depth_factor) of the rows of the large map that row `row` of the
 * small map covers. */
static int64_t covered_row(const struct resample_map *map, int64_t row, int a, int b)
{
    int64_t h = map->resampling == RESAMPLE_UP ? map->in.h : map->out.h;
    return (row / h * map->depth_factor + a) * 2 * h + 2 * (row % h) + b;
}

static void write_up(const struct resample_map *map, int64_t row, int64_t column, int64_t count,
                     const char *from, char *output)
{
    size_t pixel = (size_t)(map->in.c * dtype_size(map->dtype));
    size_t line = (size_t)map->out.w * pixel, start = (size_t)(2 * column) * pixel;
    char *first = output + (size_t)covered_row(map, row, 0, 0) * line + start;
    for (int64_t i = 0; i < count; i++)
        for (int twin = 0; twin < 2; twin++)
            memcpy(first + (size_t)(2 * i + twin) * pixel, from + (size_t)i * pixel, pixel);
    for (int k = 1; k < 2 * map->depth_factor; k++)
        memcpy(output + (size_t)covered_row(map, row, k / 2, k % 2) * line + start, first,
               2 * (size_t)count * pixel);
}

static void row_up(const struct resample_map *map, int64_t row, resample_read *read,
                   const void *context, void *output, float *buffer)
{
    for (int64_t column = 0; column < map->in.w; column += map->piece) {
        int64_t left = map->in.w - column, count = left < map->piece ? left : map->piece;
        write_up(map, row, column, count, read(context, row, column, count, buffer), output);
    }
}

static void row_down(const struct resample_map *map, int64_t row, resample_read *read,
                     const void *context, void *output, float *buffer)
{
    const struct resample_simd *resample = simd()->resample;
    int64_t c = map->in.c;
    float *mean = buffer + map->piece * c;
    for (int64_t column = 0; column < map->in.w; column += map->piece) {
        int64_t left = map->in.w - column, count = left < map->piece ? left : map->piece;
        for (int k = 0; k < 2 * map->depth_factor; k++)
            resample->add_pairs(
                read(context, covered_row(map, row, k / 2, k % 2), column, count, buffer), mean,
                count / 2, c, k == 0);
        int64_t values = count / 2 * c, at = (row * map->out.w + column / 2) * c;
        if (map->down_factor != 1.0f)
            resample->scale(mean, values, map->down_factor);
        if (map->dtype == DTYPE_F32)
            memcpy((float *)output + at, mean, (size_t)values * sizeof *mean);
        else
            f32_to_bf16(mean, (uint16_t *)output + at, values);
    }
}

void resample_row(const struct resample_map *map, int64_t row, resample_read *read,
                  const void *context, void *output, float *buffer)
{
    if (map->resampling == RESAMPLE_UP)
        row_up(map, row, read, context, output, buffer);
    else
        row_down(map, row, read, context, output, buffer);
}

struct resample_state {
    struct resample_map map;
    float up_factor;     /* of a gradient's copies */
    size_t buffer_bytes; /* of each thread */
    int threads;
};

struct source {
    const struct resample_map *map;
    const void *data;
    float up_factor;
};

/* A power of two times values: exact but for denormals. The buffer has room for f32. */
static const void *scaled(const struct source *s, int64_t first, int64_t count, void *buffer)
{
    const struct resample_simd *resample = simd()->resample;
    if (s->map->dtype == DTYPE_F32) {
        memcpy(buffer, (const float *)s->data + first, (size_t)count * sizeof(float));
        resample->scale(buffer, count, s->up_factor);
        return buffer;
    }
    for (int64_t done = 0; done < count; done += SCALED_AT_ONCE) {
        float values[SCALED_AT_ONCE];
        int64_t now = count - done < SCALED_AT_ONCE ? count - done : SCALED_AT_ONCE;
        bf16_to_f32((const uint16_t *)s->data + first + done, values, now);
        resample->scale(values, now, s->up_factor);
        f32_to_bf16(values, (uint16_t *)buffer + done, now);
    }
    return buffer;
}

static const void *read_source(const void *context, int64_t row, int64_t column, int64_t count,
                               void *buffer)
{
    const struct source *s = context;
    const struct resample_map *map = s->map;
    int64_t c = map->in.c, first = (row * map->in.w + column) * c;
    if (map->resampling == RESAMPLE_UP && s->up_factor != 1.0f)
        return scaled(s, first, count * c, buffer);
    if (map->resampling == RESAMPLE_UP)
        return (const char *)s->data + first * dtype_size(map->dtype);
    return activation_to_f32(s->data, map->dtype, first, count * c, buffer);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct resample_state s = {.up_factor = 1.0f, .threads = omp_get_max_threads()};
    const char *why = check_resample(o);
    if (!why)
        why = resample_plan(&s.map, &o->input[0], &o->output, o->resample.resampling,
                            o->resample.resample_depth);
    if (why)
        return why;
    if (o->resample.gradient) {
        s.up_factor = s.map.down_factor;
        s.map.down_factor = 1.0f;
    }
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&s.buffer_bytes, resample_buffer(&s.map), sizeof(float));
    cpu_reserve(&needs->workspace, s.threads, (int64_t)s.buffer_bytes);
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct resample_state *s = state;
    const struct source source = {&s->map, inputs[0], s->up_factor};
#pragma omp parallel for num_threads(cpu_team(s->threads, s->map.rows * s->map.row_count))
    for (int64_t row = 0; row < s->map.rows; row++) {
        char *buffer = (char *)workspace + (size_t)omp_get_thread_num() * s->buffer_bytes;
        resample_row(&s->map, row, read_source, &source, output, (float *)buffer);
    }
    return NULL;
}

const struct kernel cpu_resample = {create, needs_nothing, run, free};
