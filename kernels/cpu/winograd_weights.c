#include "kernels/cpu/winograd_weights.h"
#include "kernels/cpu/convolution_weights.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 4, PATCH = 6, PRODUCTS = PATCH * PATCH, TAPS = 9, PLANES = 3 /* at most */ };

enum {
    ROWS = 64,              /* output channels of a chunk, at most: its sums fill half of 1 MB; */
    ROWS_3D = 32,           /* of three planes they fill two thirds */
    PART_TILES = 128,       /* at most: their transforms stay in the last-level cache */
    PART_FLOATS = 14 << 20, /* transforms of a part, but for the slices around it, at most */
    PART_SLICES = 8,        /* of 3-D maps, where they are so few: a part takes neighbours too */
    CHANNELS = 16,          /* fewer than a vector are not worth it */
};

struct winograd_weights {
    const struct winograd_simd *simd;
    const struct convolution_weights_simd *products;
    const struct convolution_map *map;
    struct tensor x, y;
    int64_t planes, across, tiles;             /* of the kernel; tiles of a row, of a slice */
    int64_t rows, row_chunks, panels;          /* output channels of a chunk; of input channels */
    int64_t part_tiles, part_slices, x_slices; /* of a part: tiles of a slice, slices of y, of x */
    int64_t y_floats, x_floats;                /* of a product of a vector of y, a panel of x */
    int64_t tile_floats, sum_floats;           /* sums of a register tile, of a plane */
    int64_t product_floats;                    /* from the sums of one product to the next */
    size_t y_at, x_at, threads_at;             /* in the workspace */
    size_t runs_at, thread_bytes;              /* in a thread's; it begins with a chunk's sums */
};

/* Slices of y and tiles of each; the slices of x that these see. */
struct part {
    int64_t slice, slices, tile, tiles, x_slice, x_slices;
};

/* Slices of y, counted in the part, that under a plane see neighbours in x, from x_slice on: one
 * matrix. */
struct run {
    int64_t plane, slice, slices, x_slice;
};

/* Stands for pixels outside of a map, in channels of a panel. */
static const float zeros[WEIGHTS_WIDTH];

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t count, int64_t block)
{
    return (count + block - 1) / block;
}

static int64_t even_block(int64_t count, int64_t most)
{
    return blocks_of(count, blocks_of(count, most));
}

/* An odd number of cache lines, so that the products of one element fall into different sets of the
 * caches. */
static int64_t odd_lines(int64_t floats)
{
    const int64_t line = 16;
    return (blocks_of(floats, line) | 1) * line;
}

/* Both ways in products of f32 for each pair of channels, as measured: the transforms add a quarter
 * to Winograd's 36 of a tile, and products of bf16, where the processor has them, take half the
 * time. */
bool winograd_weights_suits(const struct operation *forward)
{
    const struct convolution *c = &forward->convolution;
    struct tensor x = forward->input[0], y = forward->output;
    bool bf16 = x.dtype == DTYPE_BF16 && y.dtype == DTYPE_BF16 && cpu_has_bf16();
    int64_t tiles = blocks_of(y.shape.h, TILE) * blocks_of(y.shape.w, TILE);
    double direct = (double)(TAPS * y.shape.h * y.shape.w) / (bf16 ? 2 : 1);
    for (int a = AXIS_H; a <= AXIS_W; a++)
        if (c->kernel[a] != 3 || c->stride[a] != 1)
            return false;
    return !c->transposed && c->kernel[AXIS_D] <= PLANES && x.shape.c >= CHANNELS &&
           y.shape.c >= CHANNELS && direct >= 1.25 * PRODUCTS * (double)tiles;
}

/* The slice of x, of all samples, that a slice of y sees under a plane; −1: none. */
static int64_t slice_seen(const struct winograd_weights *w, int64_t slice, int64_t plane)
{
    const struct convolution_axis *d = &w->map->axis[AXIS_D];
    int64_t z = d->source[plane * d->out + slice % d->out];
    return z < 0 ? -1 : slice / d->out * d->in + z;
}

static void find_slices(const struct winograd_weights *w, struct part *part)
{
    int64_t first = INT64_MAX, last = -1;
    for (int64_t i = part->slice; i < part->slice + part->slices; i++)
        for (int64_t plane = 0; plane < w->planes; plane++) {
            int64_t z = slice_seen(w, i, plane);
            first = z >= 0 ? at_most(first, z) : first;
            last = z > last ? z : last;
        }
    part->x_slice = first;
    part->x_slices = last < 0 ? 0 : last - first + 1;
}

static struct part part_at(const struct winograd_weights *w, int64_t slice, int64_t tile)
{
    struct part part = {
        .slice = slice,
        .slices = at_most(w->part_slices, w->y.shape.n * w->y.shape.d - slice),
        .tile = tile,
        .tiles = at_most(w->part_tiles, w->tiles - tile),
    };
    find_slices(w, &part);
    return part;
}

static void choose_part(struct winograd_weights *w)
{
    int64_t slices = w->y.shape.n * w->y.shape.d;
    int64_t channels = w->row_chunks * w->rows + w->panels * w->simd->vectors * w->simd->lanes;
    int64_t most = at_most(PART_TILES, PART_FLOATS / (PRODUCTS * channels));
    int64_t row = w->planes > 1 ? most / PART_SLICES : most;
    w->part_tiles = even_block(w->tiles, row > PART_SLICES ? row : PART_SLICES);
    w->part_slices = even_block(slices, most > w->part_tiles ? most / w->part_tiles : 1);
    for (int64_t i = 0; i < slices; i += w->part_slices) {
        struct part part = part_at(w, i, 0);
        w->x_slices = part.x_slices > w->x_slices ? part.x_slices : w->x_slices;
    }
}

const char *winograd_weights_create(struct winograd_weights **winograd, const struct operation *o,
                                    const struct convolution_map *map, struct needs *needs)
{
    struct winograd_weights *w = *winograd = malloc(sizeof *w);
    if (!w)
        return "out of memory";
    *w = (struct winograd_weights){
        .simd = simd()->winograd,
        .products = simd()->convolution_weights,
        .map = map,
        .x = o->input[0],
        .y = o->output,
        .planes = o->convolution.kernel[AXIS_D],
        .across = blocks_of(o->output.shape.w, TILE),
    };
    int64_t lanes = w->simd->lanes, width = w->products->vectors * lanes, floats = sizeof(float);
    w->tiles = w->across * blocks_of(w->y.shape.h, TILE);
    w->rows = blocks_of(even_block(w->y.shape.c, w->planes > 1 ? ROWS_3D : ROWS), lanes) * lanes;
    w->row_chunks = blocks_of(w->y.shape.c, w->rows);
    w->panels = blocks_of(blocks_of(w->x.shape.c, lanes), w->products->vectors);
    choose_part(w);
    w->y_floats = odd_lines(w->part_slices * w->part_tiles * lanes);
    w->x_floats = odd_lines(w->x_slices * w->part_tiles * width);
    w->tile_floats = w->products->rows * width;
    w->sum_floats = w->rows * width;
    w->product_floats = odd_lines(w->planes * w->sum_floats);
    w->y_at = cpu_reserve(&needs->workspace, w->row_chunks * w->rows / lanes * PRODUCTS,
                          w->y_floats * floats);
    w->x_at = cpu_reserve(&needs->workspace, w->panels * PRODUCTS, w->x_floats * floats);
    cpu_reserve(&w->thread_bytes, PRODUCTS * w->product_floats, floats);
    w->runs_at =
        cpu_reserve(&w->thread_bytes, w->planes * w->part_slices, (int64_t)sizeof(struct run));
    w->threads_at = cpu_reserve(&needs->workspace, omp_get_max_threads(), (int64_t)w->thread_bytes);
    return NULL;
}

void winograd_weights_destroy(struct winograd_weights *w)
{
    free(w);
}

/* Transform tile `tile` of slice `slice` of dy, step `step` of the part. */
static void transform_y(const struct winograd_weights *w, const char *dy, int64_t slice,
                        int64_t tile, int64_t step, float *to)
{
    struct shape y = w->y.shape;
    int64_t size = dtype_size(w->y.dtype), lanes = w->simd->lanes;
    int64_t top = tile / w->across * TILE, left = tile % w->across * TILE;
    for (int64_t channel = 0; channel < y.c; channel += lanes) {
        const void *pixel[TILE * TILE];
        for (int64_t k = 0; k < TILE * TILE; k++) {
            int64_t i = top + k / TILE, j = left + k % TILE;
            pixel[k] = i < y.h && j < y.w
                           ? dy + (((slice * y.h + i) * y.w + j) * y.c + channel) * size
                           : (const void *)zeros;
        }
        w->simd->transform_gradient(pixel, w->y.dtype, at_most(lanes, y.c - channel),
                                    to + channel / lanes * PRODUCTS * w->y_floats + step * lanes,
                                    w->y_floats);
    }
}

/* The positions that rows or columns of the patch of a tile whose outputs begin at `first` stand
 * for; −1: none. */
static void find_sources(const struct convolution_axis *axis, int64_t first, int64_t at[PATCH])
{
    int64_t last = at_most(first + TILE, axis->out) - 1;
    for (int64_t i = 0; i < PATCH; i++) {
        int64_t output = at_most(first + i, last), tap = first + i - output;
        at[i] = tap < axis->kernel ? axis->source[tap * axis->out + output] : -1;
    }
}

static void transform_x(const struct winograd_weights *w, const char *x, int64_t slice,
                        int64_t tile, int64_t step, float *to)
{
    struct shape in = w->x.shape;
    int64_t row[PATCH], column[PATCH], size = dtype_size(w->x.dtype), channel;
    find_sources(&w->map->axis[AXIS_H], tile / w->across * TILE, row);
    find_sources(&w->map->axis[AXIS_W], tile % w->across * TILE, column);
    for (int64_t panel = 0; panel < w->panels; panel++) {
        const void *pixel[PRODUCTS];
        int64_t width =
            convolution_weights_panel(in.c, w->panels, panel, &channel) * w->simd->lanes;
        for (int64_t k = 0; k < PRODUCTS; k++) {
            int64_t i = row[k / PATCH], j = column[k % PATCH];
            pixel[k] = i >= 0 && j >= 0
                           ? x + (((slice * in.h + i) * in.w + j) * in.c + channel) * size
                           : (const void *)zeros;
        }
        w->simd->transform_input(pixel, w->x.dtype, at_most(width, in.c - channel),
                                 to + panel * PRODUCTS * w->x_floats + step * width, w->x_floats);
    }
}

/* Multiply `steps` tiles of `rows` channels of y and a panel of x: one product. */
static void multiply(const struct winograd_weights *w, int64_t steps, int64_t rows, int vectors,
                     const float *y, const float *x, float *to)
{
    int64_t lanes = w->simd->lanes;
    for (int64_t c = 0; c < rows; c += w->products->rows, to += w->tile_floats)
        w->products->multiply(vectors, steps, y + c / lanes * PRODUCTS * w->y_floats + c % lanes,
                              lanes, x, to);
}

/* Returns how many there are. */
static int64_t find_runs(const struct winograd_weights *w, const struct part *part,
                         struct run *runs)
{
    int64_t count = 0;
    for (int64_t plane = 0; plane < w->planes; plane++)
        for (int64_t i = 0; i < part->slices; i++) {
            int64_t z = slice_seen(w, part->slice + i, plane) - part->x_slice;
            struct run *last = count ? &runs[count - 1] : NULL;
            if (z < 0)
                continue;
            if (last && last->plane == plane && last->slice + last->slices == i &&
                last->x_slice + last->slices == z)
                last->slices++;
            else
                runs[count++] = (struct run){plane, i, 1, z};
        }
    return count;
}

/* The products of a chunk over a part: sums is (36, planes, register tiles). A product of y and x
 * is in the first-level cache while all planes take it. */
static void sum_chunk(const struct winograd_weights *w, const struct part *part, int64_t rows,
                      int vectors, const float *y, const float *x, char *thread)
{
    int64_t lanes = w->simd->lanes, width = vectors * lanes;
    float *sums = (float *)(void *)thread;
    struct run *runs = (struct run *)(void *)(thread + w->runs_at);
    int64_t count = find_runs(w, part, runs);
    for (int p = 0; p < PRODUCTS; p++) {
        memset(sums, 0, (size_t)(w->planes * w->sum_floats) * sizeof *sums);
        for (int64_t i = 0; i < count; i++)
            multiply(w, runs[i].slices * part->tiles, rows, vectors,
                     y + runs[i].slice * part->tiles * lanes,
                     x + runs[i].x_slice * part->tiles * width,
                     sums + runs[i].plane * w->sum_floats);
        sums += w->product_floats;
        y += w->y_floats;
        x += w->x_floats;
    }
}

static void add_chunk(const struct winograd_weights *w, const struct convolution_weights *weights,
                      int64_t row, int64_t rows, int64_t width, int64_t channel, const float *sums)
{
    float kernel[PLANES * TAPS * WEIGHTS_WIDTH];
    for (int64_t i = 0; i < rows; i++) {
        const float *from =
            sums + i / w->products->rows * w->tile_floats + i % w->products->rows * width;
        for (int64_t plane = 0; plane < w->planes; plane++)
            w->simd->transform_sums(from + plane * w->sum_floats, w->product_floats, width,
                                    kernel + plane * TAPS * WEIGHTS_WIDTH, WEIGHTS_WIDTH);
        convolution_weights_add(weights, row + i, channel, at_most(width, w->x.shape.c - channel),
                                kernel, WEIGHTS_WIDTH);
    }
}

static void run_part(const struct winograd_weights *w, const struct convolution_weights *weights,
                     const struct part *part, const void *x, const void *dy, char *workspace)
{
    float *y_products = (float *)(void *)(workspace + w->y_at);
    float *x_products = (float *)(void *)(workspace + w->x_at);
    char *thread = workspace + w->threads_at + (size_t)omp_get_thread_num() * w->thread_bytes;
#pragma omp for nowait
    for (int64_t i = 0; i < part->slices * part->tiles; i++)
        transform_y(w, dy, part->slice + i / part->tiles, part->tile + i % part->tiles, i,
                    y_products);
#pragma omp for
    for (int64_t i = 0; i < part->x_slices * part->tiles; i++)
        transform_x(w, x, part->x_slice + i / part->tiles, part->tile + i % part->tiles, i,
                    x_products);
#pragma omp for collapse(2) schedule(dynamic)
    for (int64_t row = 0; row < w->row_chunks; row++)
        for (int64_t panel = 0; panel < w->panels; panel++) {
            int64_t channel, rows = at_most(w->rows, w->y.shape.c - row * w->rows);
            int vectors = convolution_weights_panel(w->x.shape.c, w->panels, panel, &channel);
            sum_chunk(w, part, rows, vectors,
                      y_products + row * (w->rows / w->simd->lanes) * PRODUCTS * w->y_floats,
                      x_products + panel * PRODUCTS * w->x_floats, thread);
            add_chunk(w, weights, row * w->rows, rows, vectors * w->simd->lanes, channel,
                      (const float *)(const void *)thread);
        }
}

void winograd_weights_run(const struct winograd_weights *w,
                          const struct convolution_weights *weights, const void *x, const void *dy,
                          void *workspace)
{
    for (int64_t slice = 0; slice < w->y.shape.n * w->y.shape.d; slice += w->part_slices)
        for (int64_t tile = 0; tile < w->tiles; tile += w->part_tiles) {
            struct part part = part_at(w, slice, tile);
            if (part.x_slices)
                run_part(w, weights, &part, x, dy, workspace);
        }
}
