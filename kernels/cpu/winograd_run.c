#include "kernels/cpu/winograd_plan.h"

#include <string.h>

/* What all threads compute together: some channels of some blocks of a phase. */
struct part {
    int phase;
    int64_t block, blocks; /* a stretch */
    int64_t in, in_count, out, out_count;
};

/* Tiles `tile` … of the slices `slice` … of a sample, counted in the phase; from one slice to the
 * next, `pitch` rows. `index` among the blocks of the stretch. */
struct block {
    int64_t index, sample, slice, slices, tile, tiles, pitch;
};

/* Vectors of the next panel when `rest` are left: never one where two and two can be had, since one
 * leaves the multipliers waiting for loads. */
static int panel_vectors(const struct winograd *w, int64_t rest)
{
    return rest == 4 ? 2 : (int)at_most(rest, w->simd->vectors);
}

/* The panel that begins at a vector of a part. */
static float *panel_at(const struct winograd *w, float *weights, int64_t vector)
{
    return weights + blocks_of(vector, w->simd->vectors) * PRODUCTS * w->weight_step;
}

/* Padding along d in front of a phase. */
static int64_t front_of(const struct winograd *w, int phase)
{
    return w->pad[AXIS_D] - phase;
}

/* Transform a part of the weights to panels of (36, planes, in_count, vectors of the panel). */
static void transform_weights(const struct winograd *w, const char *packed, const struct part *part,
                              float *weights)
{
    const int64_t run = 64;
    int64_t lanes = w->simd->lanes, vectors = vectors_of(w, w->out.c);
    int64_t first = part->out / lanes, count = vectors_of(w, part->out_count);
    packed += part->phase * w->planes * plane_step(w) * dtype_size(w->type);
#pragma omp for collapse(3)
    for (int64_t v = 0; v < count; v++)
        for (int64_t plane = 0; plane < w->planes; plane++)
            for (int64_t c = 0; c < part->in_count; c += run) {
                int64_t start = 0, width;
                while (start + (width = panel_vectors(w, count - start)) <= v)
                    start += width;
                int64_t taps = ((plane * vectors + first + v) * w->in.c + part->in + c) * TAPS;
                float *to = panel_at(w, weights, start) +
                            ((plane * part->in_count + c) * width + v - start) * lanes;
                w->simd->transform_weights(packed + taps * lanes * dtype_size(w->type), w->type,
                                           at_most(run, part->in_count - c), to, width * lanes,
                                           w->weight_step);
            }
}

/* The 6×6 pixels that a tile reads; zeros stand for those outside. */
static void find_pixels(const struct winograd *w, const char *slice, int64_t tile,
                        const void *zeros, const void *pixel[PRODUCTS])
{
    int64_t top = tile / w->row_tiles * TILE - w->pad[AXIS_H], h = w->in.h << w->up;
    int64_t left = tile % w->row_tiles * TILE - w->pad[AXIS_W], width = w->in.w << w->up;
    int64_t bytes = w->in.c * dtype_size(w->type);
    for (int64_t i = top; i < top + PATCH; i++)
        for (int64_t j = left; j < left + PATCH; j++) {
            int64_t y = i < 0 ? 0 : at_most(i, h - 1), x = j < 0 ? 0 : at_most(j, width - 1);
            bool there = w->replicate || (y == i && x == j);
            *pixel++ = there ? slice + ((y >> w->up) * w->in.w + (x >> w->up)) * bytes : zeros;
        }
}

/* Transform the inputs of a block: to is (36, slices and planes − 1 more, pitch, row_step). */
static void transform_inputs(const struct winograd *w, const char *input, const struct block *b,
                             const struct part *part, float *to)
{
    static const float zeros[IN_2D > IN_3D ? IN_2D : IN_3D];
    int64_t pixel_bytes = w->in.c * dtype_size(w->type);
    input += part->in * dtype_size(w->type);
    for (int64_t k = 0; k < b->slices + w->planes - 1; k++, to += b->pitch * w->row_step) {
        int64_t i = b->slice + k - front_of(w, part->phase);
        int64_t z = i < 0 ? 0 : at_most(i, w->in.d - 1);
        if (z != i && !w->replicate) {
            for (int p = 0; w->joined && p < PRODUCTS; p++)
                memset(to + p * w->input_step, 0, (size_t)(b->tiles * w->row_step) * sizeof *to);
            continue;
        }
        const char *slice = input + (b->sample * w->in.d + z) * w->in.h * w->in.w * pixel_bytes;
        for (int64_t t = 0; t < b->tiles; t++) {
            const void *pixel[PRODUCTS];
            find_pixels(w, slice, b->tile + t, zeros, pixel);
            w->simd->transform_input(pixel, w->type, part->in_count, to + t * w->row_step,
                                     w->input_step);
        }
    }
}

/* Multiply a block with a panel: sums is (36, slices, pitch, vectors of the panel). */
static void multiply(const struct winograd *w, const struct block *b, const struct part *part,
                     const float *inputs, const float *panel, int vectors, float *sums)
{
    int64_t columns = vectors * w->simd->lanes, strips = w->joined ? 1 : b->slices;
    int64_t rows = w->joined ? round_up(b->slices * b->tiles, w->simd->rows) : b->pitch;
    for (int p = 0; p < PRODUCTS; p++)
        for (int64_t strip = 0; strip < strips; strip++) {
            int64_t z = b->slice + strip - front_of(w, part->phase);
            bool all = w->joined || w->replicate;
            int64_t first = all || z >= 0 ? 0 : -z;
            int64_t end = all ? w->planes : at_most(w->planes, w->in.d - z);
            struct winograd_product product = {
                .a = inputs + p * w->input_step + (strip + first) * b->pitch * w->row_step,
                .b = panel + p * w->weight_step + first * part->in_count * columns,
                .row_step = w->row_step,
                .plane_step = b->pitch * w->row_step,
                .depth = part->in_count,
                .planes = (int)(end - first),
            };
            w->simd->multiply(&product, vectors, rows,
                              sums + p * w->sum_step + strip * b->pitch * columns);
        }
}

/* Pixels of a map like the output, from element `at` on. */
static struct winograd_pixels pixels_at(const struct winograd *w, const void *map, int64_t at)
{
    char *data = (char *)(uintptr_t)map;
    return (struct winograd_pixels){
        .data = data ? data + at * dtype_size(w->out_type) : NULL,
        .dtype = w->out_type,
        .row = w->out.w * w->out.c,
        .column = w->out.c,
    };
}

/* Sums of tile `tile` of a block, from channel `out` on. */
static struct winograd_pixels sums_at(const struct winograd *w, const struct winograd_call *call,
                                      const struct block *b, const struct part *part, int64_t tile,
                                      int64_t out)
{
    float *sums = (float *)(void *)((char *)call->workspace + w->sums_at);
    int64_t tiles = w->block_slices * w->block_tiles * b->index + tile;
    return (struct winograd_pixels){
        .data = sums + tiles * TILE * TILE * w->out_part + out - part->out,
        .dtype = DTYPE_F32,
        .row = TILE * w->out_part,
        .column = w->out_part,
    };
}

/* Write the outputs of a block for the panel that begins at channel `out`. */
static void transform_outputs(const struct winograd *w, const struct winograd_call *call,
                              const struct block *b, const struct part *part, int64_t out,
                              int vectors, const float *sums)
{
    int64_t columns = vectors * w->simd->lanes;
    bool first = part->in == 0, last = part->in + part->in_count == w->in.c;
    struct winograd_tile tile = {
        .bias = first ? call->bias + out : NULL,
        .channels = at_most(columns, part->out + part->out_count - out),
        .beta = first ? call->beta : 1.0f,
        .relu = last && w->relu,
    };
    for (int64_t k = 0; k < b->slices; k++)
        for (int64_t t = 0; t < b->tiles; t++) {
            int64_t y = (b->tile + t) / w->row_tiles * TILE;
            int64_t x = (b->tile + t) % w->row_tiles * TILE;
            int64_t z = b->sample * w->out.d + (b->slice + k) * w->phases + part->phase;
            int64_t at = ((z * w->out.h + y) * w->out.w + x) * w->out.c + out;
            struct winograd_pixels kept = w->sums ? sums_at(w, call, b, part, k * b->tiles + t, out)
                                                  : pixels_at(w, call->output, at);
            tile.output = last ? pixels_at(w, call->output, at) : kept;
            tile.addend = first ? pixels_at(w, call->residual, at) : kept;
            tile.rows = (int)at_most(TILE, w->out.h - y);
            tile.columns = (int)at_most(TILE, w->out.w - x);
            w->simd->transform_output(&tile, sums + (k * b->pitch + t) * columns, w->sum_step);
        }
}

static void run_block(const struct winograd *w, const struct winograd_call *call,
                      const struct block *b, const struct part *part, float *weights, float *memory)
{
    float *sums = memory + PRODUCTS * w->input_step;
    int64_t count = vectors_of(w, part->out_count);
    transform_inputs(w, call->input, b, part, memory);
    for (int64_t v = 0, vectors; v < count; v += vectors) {
        vectors = panel_vectors(w, count - v);
        multiply(w, b, part, memory, panel_at(w, weights, v), (int)vectors, sums);
        transform_outputs(w, call, b, part, part->out + v * w->simd->lanes, (int)vectors, sums);
    }
}

static void run_part(const struct winograd *w, const struct winograd_call *call,
                     const struct part *part)
{
    char *workspace = call->workspace;
    float *weights = call->workspace;
    float *memory = (float *)(void *)(workspace + w->threads_at +
                                      (size_t)omp_get_thread_num() * w->thread_bytes);
    int64_t depth = w->out.d / w->phases, across = blocks_of(w->tiles, w->block_tiles);
    int64_t layers = blocks_of(depth, w->block_slices);
    transform_weights(w, call->weights, part, weights);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < part->blocks; i++) {
        int64_t at = part->block + i;
        struct block b = {
            .index = i,
            .sample = at / across / layers,
            .slice = at / across % layers * w->block_slices,
            .tile = at % across * w->block_tiles,
        };
        b.slices = at_most(w->block_slices, depth - b.slice);
        b.tiles = at_most(w->block_tiles, w->tiles - b.tile);
        b.pitch = pitch_of(w, b.tiles);
        run_block(w, call, &b, part, weights, memory);
    }
}

/* All parts of a stretch of blocks. */
static void run_stretch(const struct winograd *w, const struct winograd_call *call, int phase,
                        int64_t block)
{
    struct part part = {.phase = phase, .block = block};
    part.blocks = at_most(w->stretch, count_blocks(w) - block);
    for (part.out = 0; part.out < w->out.c; part.out += w->out_part)
        for (part.in = 0; part.in < w->in.c; part.in += w->in_part) {
            part.in_count = at_most(w->in_part, w->in.c - part.in);
            part.out_count = at_most(w->out_part, w->out.c - part.out);
            run_part(w, call, &part);
        }
}

void winograd_run(const struct winograd *w, const struct winograd_call *call)
{
#pragma omp parallel num_threads(cpu_team(w->threads, shape_count(w->out) * w->in.c))
    for (int phase = 0; phase < w->phases; phase++)
        for (int64_t block = 0; block < count_blocks(w); block += w->stretch)
            run_stretch(w, call, phase, block);
}
