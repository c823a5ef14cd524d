/* The weights are taken in parts, of some input and some output channels, whose transforms stay in
 * the last-level cache. All threads transform a part together; then each takes blocks of tiles,
 * transforms their inputs, multiplies, and transforms back one panel of output channels after
 * another, adding to what the parts before left in the output. The parts, and with them the order
 * of every sum, follow from the shape alone; blocks of tiles can be cut in any way. */
#include "kernels/cpu/winograd.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 4, PATCH = 6, PRODUCTS = PATCH * PATCH, TAPS = 9 };

/* Channels of a part, at most: about 7 MB of transformed weights. */
enum { IN_2D = 192, OUT_2D = 256, IN_3D = 128, OUT_3D = 128, CHANNELS_MULTIPLE = 16 };

/* Tiles and slices of a block, at most, and what its tiles in a slice are a multiple of, itself a
 * multiple of every register tile. The transformed inputs of a block fill a second-level cache of
 * 1 MB. Slices of a 3-D map stay together: a block reads the slice before and the one behind too.
 */
enum { BLOCK_TILES = 32, BLOCK_SLICES_3D = 5, TILES_MULTIPLE = 8 };

struct winograd {
    const struct winograd_simd *simd;
    struct shape in, out; /* a 2-D convolution has the slices of all its samples in d */
    int planes;           /* of the kernel */
    int64_t pad[AXES];
    bool replicate;
    int64_t row_tiles, tiles;          /* in a row, in a slice */
    int64_t in_part, out_part;         /* channels of a part of the weights */
    int64_t block_slices, block_tiles; /* tiles of a block */
    /* The slices of a block make one strip of tiles to multiply, or one each: those at the ends of
     * a 3-D map then leave out the planes of the kernel that lie in the padding. */
    bool joined;
    /* In floats: from one tile's transformed inputs to the next, and from one of the 36 products to
     * the next in a panel of weights, in the inputs and in the sums. */
    int64_t row_step, weight_step, input_step, sum_step;
    size_t threads_at, thread_bytes; /* the threads' memory in the workspace */
    int threads;
};

struct part {
    int64_t in, in_count, out, out_count;
};

/* Tiles `tile` … of the slices `slice` … of a sample; from one slice to the next, `pitch` rows. */
struct block {
    int64_t sample, slice, slices, tile, tiles, pitch;
};

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t count, int64_t block)
{
    return (count + block - 1) / block;
}

static int64_t round_up(int64_t count, int64_t multiple)
{
    return blocks_of(count, multiple) * multiple;
}

/* What even blocks of at most `most`, a multiple of `multiple`, hold. */
static int64_t even_block(int64_t count, int64_t most, int64_t multiple)
{
    return round_up(blocks_of(count, blocks_of(count, most)), multiple);
}

/* An odd number of cache lines, so that the 36 products of one element fall into different sets of
 * the caches. */
static int64_t odd_lines(int64_t floats)
{
    const int64_t line = 16;
    return (blocks_of(floats, line) | 1) * line;
}

static int64_t vectors_of(const struct winograd *w, int64_t channels)
{
    return blocks_of(channels, w->simd->lanes);
}

/* Both convolutions in products for each pair of channels and plane of the kernel, as measured. The
 * transforms of inputs and outputs add a quarter to Winograd's 36 a tile; that of the weights, done
 * in every run, costs as much as 600. Weights kept transformed would take four times the memory and
 * save nothing from 64 tiles on, where reading them takes as long as making them. 2-D networks are
 * run on four slices or more. With few input channels the transforms of the outputs prevail. */
static bool is_faster(struct shape in, struct shape out, int planes)
{
    const double few_slices = 4, gain = 1.25;
    double slices = planes == 1 ? few_slices : (double)out.d;
    double tiles = (double)(blocks_of(out.h, TILE) * blocks_of(out.w, TILE)) * slices;
    double direct = TAPS * (double)(out.h * out.w) * slices;
    return in.c >= CHANNELS_MULTIPLE && direct >= gain * (1.25 * PRODUCTS * tiles + 600);
}

bool winograd_suits(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    int planes = c->kernel[AXIS_D];
    if (o->input[0].dtype != DTYPE_F32 || o->output.dtype != DTYPE_F32 || c->transposed ||
        (planes != 1 && planes != 3))
        return false;
    for (int a = 0; a < AXES; a++) {
        int extent = a == AXIS_D ? planes : 3;
        if (c->kernel[a] != extent || c->stride[a] != 1 || c->pad_front[a] >= extent ||
            c->pad_back[a] >= extent)
            return false;
    }
    return is_faster(o->input[0].shape, o->output.shape, planes);
}

static int64_t count_blocks(const struct winograd *w)
{
    return w->out.n * blocks_of(w->out.d, w->block_slices) * blocks_of(w->tiles, w->block_tiles);
}

static void choose_block(struct winograd *w)
{
    bool flat = w->planes == 1;
    int64_t slices = flat ? 1 : even_block(w->out.d, BLOCK_SLICES_3D, 1);
    int64_t tiles = BLOCK_TILES / slices / TILES_MULTIPLE * TILES_MULTIPLE;
    w->joined = flat || w->tiles < TILES_MULTIPLE;
    w->block_tiles =
        at_most(w->tiles, even_block(w->tiles, tiles ? tiles : TILES_MULTIPLE, TILES_MULTIPLE));
    if (w->joined)
        slices = at_most(w->out.d, BLOCK_TILES / w->block_tiles);
    w->block_slices = even_block(w->out.d, slices, 1);
    /* Smaller blocks where there are too few to keep the threads busy. */
    while (count_blocks(w) < 2 * w->threads && w->block_slices > 1)
        w->block_slices = blocks_of(w->block_slices, 2);
    while (count_blocks(w) < 2 * w->threads && w->block_tiles > TILES_MULTIPLE)
        w->block_tiles = round_up(w->block_tiles / 2, TILES_MULTIPLE);
}

/* Rows from one slice of a block to the next. */
static int64_t pitch_of(const struct winograd *w, int64_t tiles)
{
    return w->joined ? tiles : round_up(tiles, w->simd->rows);
}

static void choose_memory(struct winograd *w, struct needs *needs)
{
    int64_t panel = w->simd->vectors * w->simd->lanes, bytes = sizeof(float);
    int64_t pitch = pitch_of(w, w->block_tiles);
    int64_t rows = round_up(pitch * w->block_slices, w->simd->rows);
    size_t workspace = 0, thread = 0;
    w->row_step = w->in_part + CHANNELS_MULTIPLE;
    w->weight_step = odd_lines(w->planes * w->in_part * panel);
    w->input_step = odd_lines((rows + (w->planes - 1) * pitch) * w->row_step);
    w->sum_step = odd_lines(rows * panel);
    cpu_reserve(&thread, PRODUCTS * (w->input_step + w->sum_step), bytes);
    cpu_reserve(&workspace, blocks_of(w->out_part, panel) * PRODUCTS * w->weight_step, bytes);
    w->thread_bytes = thread;
    w->threads_at = cpu_reserve(&workspace, w->threads, (int64_t)thread);
    if (workspace > needs->workspace)
        needs->workspace = workspace;
    cpu_reserve(&needs->prepared, w->planes * vectors_of(w, w->out.c) * w->simd->lanes,
                w->in.c * TAPS * bytes);
}

const char *winograd_create(struct winograd **winograd, const struct operation *o,
                            struct needs *needs)
{
    const struct convolution *c = &o->convolution;
    bool flat = c->kernel[AXIS_D] == 1;
    struct winograd *w = *winograd = malloc(sizeof *w);
    if (!w)
        return "out of memory";
    *w = (struct winograd){
        .simd = simd()->winograd,
        .in = o->input[0].shape,
        .out = o->output.shape,
        .planes = c->kernel[AXIS_D],
        .pad = {c->pad_front[AXIS_D], c->pad_front[AXIS_H], c->pad_front[AXIS_W]},
        .replicate = c->padding == PADDING_REPLICATE,
        .row_tiles = blocks_of(o->output.shape.w, TILE),
        .tiles = blocks_of(o->output.shape.w, TILE) * blocks_of(o->output.shape.h, TILE),
        .in_part = even_block(o->input[0].shape.c, flat ? IN_2D : IN_3D, CHANNELS_MULTIPLE),
        .out_part = even_block(o->output.shape.c, flat ? OUT_2D : OUT_3D, CHANNELS_MULTIPLE),
        .threads = omp_get_max_threads(),
    };
    if (flat) {
        w->in.d *= w->in.n;
        w->out.d *= w->out.n;
        w->in.n = w->out.n = 1;
    }
    choose_block(w);
    choose_memory(w, needs);
    return needs->prepared == SIZE_MAX || needs->workspace == SIZE_MAX ? "the map is too large"
                                                                       : NULL;
}

void winograd_destroy(struct winograd *w)
{
    free(w);
}

/* Packed: (planes, vectors of output channels, input channels, 3×3, lanes). */
void winograd_pack(const struct winograd *w, const float *weights, void *packed)
{
    int64_t lanes = w->simd->lanes, vectors = vectors_of(w, w->out.c);
#pragma omp parallel for collapse(2)
    for (int64_t plane = 0; plane < w->planes; plane++)
        for (int64_t v = 0; v < vectors; v++) {
            float *to = (float *)packed + (plane * vectors + v) * w->in.c * TAPS * lanes;
            for (int64_t c = 0; c < w->in.c; c++)
                for (int tap = 0; tap < TAPS; tap++)
                    for (int64_t lane = 0; lane < lanes; lane++) {
                        int64_t o = v * lanes + lane;
                        int64_t from = ((o * w->in.c + c) * w->planes + plane) * TAPS + tap;
                        *to++ = o < w->out.c ? weights[from] : 0.0f;
                    }
        }
}

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

/* Transform a part of the weights to panels of (36, planes, in_count, vectors of the panel). */
static void transform_weights(const struct winograd *w, const float *packed,
                              const struct part *part, float *weights)
{
    const int64_t run = 64;
    int64_t lanes = w->simd->lanes, vectors = vectors_of(w, w->out.c);
    int64_t first = part->out / lanes, count = vectors_of(w, part->out_count);
#pragma omp for collapse(3)
    for (int64_t v = 0; v < count; v++)
        for (int64_t plane = 0; plane < w->planes; plane++)
            for (int64_t c = 0; c < part->in_count; c += run) {
                int64_t start = 0, width;
                while (start + (width = panel_vectors(w, count - start)) <= v)
                    start += width;
                const float *taps =
                    packed +
                    ((plane * vectors + first + v) * w->in.c + part->in + c) * TAPS * lanes;
                float *to = panel_at(w, weights, start) +
                            ((plane * part->in_count + c) * width + v - start) * lanes;
                w->simd->transform_weights(taps, at_most(run, part->in_count - c), to,
                                           width * lanes, w->weight_step);
            }
}

/* The 6×6 pixels that a tile reads; zeros stand for those outside. */
static void find_pixels(const struct winograd *w, const float *slice, int64_t tile,
                        const float *zeros, const float *pixel[PRODUCTS])
{
    int64_t top = tile / w->row_tiles * TILE - w->pad[AXIS_H];
    int64_t left = tile % w->row_tiles * TILE - w->pad[AXIS_W];
    for (int64_t i = top; i < top + PATCH; i++)
        for (int64_t j = left; j < left + PATCH; j++) {
            int64_t y = i < 0 ? 0 : at_most(i, w->in.h - 1);
            int64_t x = j < 0 ? 0 : at_most(j, w->in.w - 1);
            bool there = w->replicate || (y == i && x == j);
            *pixel++ = there ? slice + (y * w->in.w + x) * w->in.c : zeros;
        }
}

/* Transform the inputs of a block: to is (36, slices and planes − 1 more, pitch, row_step). */
static void transform_inputs(const struct winograd *w, const float *input, const struct block *b,
                             const struct part *part, float *to)
{
    static const float zeros[IN_2D > IN_3D ? IN_2D : IN_3D];
    for (int64_t k = 0; k < b->slices + w->planes - 1; k++, to += b->pitch * w->row_step) {
        int64_t i = b->slice + k - w->pad[AXIS_D], z = i < 0 ? 0 : at_most(i, w->in.d - 1);
        if (z != i && !w->replicate) {
            for (int p = 0; w->joined && p < PRODUCTS; p++)
                memset(to + p * w->input_step, 0, (size_t)(b->tiles * w->row_step) * sizeof *to);
            continue;
        }
        const float *slice =
            input + (b->sample * w->in.d + z) * w->in.h * w->in.w * w->in.c + part->in;
        for (int64_t t = 0; t < b->tiles; t++) {
            const float *pixel[PRODUCTS];
            find_pixels(w, slice, b->tile + t, zeros, pixel);
            w->simd->transform_input(pixel, part->in_count, to + t * w->row_step, w->input_step);
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
            int64_t z = b->slice + strip - w->pad[AXIS_D];
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

/* Write the outputs of a block for the panel that begins at channel `out`. */
static void transform_outputs(const struct winograd *w, const struct winograd_call *call,
                              const struct block *b, const struct part *part, int64_t out,
                              int vectors, const float *sums)
{
    int64_t columns = vectors * w->simd->lanes;
    const float *residual = part->in ? call->output : call->residual;
    struct winograd_tile tile = {
        .bias = part->in ? NULL : call->bias + out,
        .row_step = w->out.w * w->out.c,
        .column_step = w->out.c,
        .channels = at_most(columns, part->out + part->out_count - out),
        .beta = part->in ? 1.0f : call->beta,
    };
    for (int64_t k = 0; k < b->slices; k++)
        for (int64_t t = 0; t < b->tiles; t++) {
            int64_t y = (b->tile + t) / w->row_tiles * TILE;
            int64_t x = (b->tile + t) % w->row_tiles * TILE;
            int64_t z = b->sample * w->out.d + b->slice + k;
            int64_t at = ((z * w->out.h + y) * w->out.w + x) * w->out.c + out;
            tile.output = call->output + at;
            tile.residual = residual ? residual + at : NULL;
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
    float *weights = call->workspace;
    float *memory = weights + (w->threads_at + (size_t)omp_get_thread_num() * w->thread_bytes) /
                                  sizeof *weights;
    int64_t blocks = count_blocks(w), across = blocks_of(w->tiles, w->block_tiles);
    int64_t layers = blocks_of(w->out.d, w->block_slices);
    transform_weights(w, call->weights, part, weights);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < blocks; i++) {
        struct block b = {
            .sample = i / across / layers,
            .slice = i / across % layers * w->block_slices,
            .tile = i % across * w->block_tiles,
        };
        b.slices = at_most(w->block_slices, w->out.d - b.slice);
        b.tiles = at_most(w->block_tiles, w->tiles - b.tile);
        b.pitch = pitch_of(w, b.tiles);
        run_block(w, call, &b, part, weights, memory);
    }
}

void winograd_run(const struct winograd *w, const struct winograd_call *call)
{
#pragma omp parallel num_threads(cpu_team(w->threads, shape_count(w->out) * w->in.c))
    for (int64_t out = 0; out < w->out.c; out += w->out_part)
        for (int64_t in = 0; in < w->in.c; in += w->in_part) {
            struct part part = {in, at_most(w->in_part, w->in.c - in), out,
                                at_most(w->out_part, w->out.c - out)};
            run_part(w, call, &part);
        }
}
