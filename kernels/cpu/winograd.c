#include "kernels/cpu/convert.h"
#include "kernels/cpu/winograd_plan.h"

#include <stdlib.h>
#include <string.h>

/* Tiles and slices of a block, at most, and what its tiles in a slice are a multiple of, itself a
 * multiple of every register tile. The transformed inputs of a block fill a second-level cache of
 * 1 MB. Slices of a 3-D map stay together: a block reads the slice before and the one behind too.
 */
enum { BLOCK_TILES = 32, BLOCK_SLICES_3D = 5, TILES_MULTIPLE = 8 };

enum { LANES_MOST = 16 }; /* of any instruction set */

enum { PACKED_CHANNELS = 16 }; /* input channels of a vector of outputs whose taps fill 27 kB */

/* Bytes of f32 sums, at most: the weights, transformed anew for every stretch of blocks, then take
 * less than 1 % of the time. */
enum { SUMS_BYTES = 32 << 20 };

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

/* Both convolutions in products for each pair of channels and plane of the kernel, as measured. The
 * transforms of inputs and outputs add a quarter to Winograd's 36 a tile; that of the weights, done
 * in every run, costs as much as 600. Weights kept transformed would take four times the memory and
 * save nothing from 64 tiles on, where reading them takes as long as making them. 2-D networks are
 * run on four slices or more. With few input channels the transforms of the outputs prevail. Direct
 * convolutions of bf16, where the processor multiplies it, take two thirds of the time of f32 on
 * the small maps where the choice is close. */
static bool is_faster(const struct operation *o)
{
    const double few_slices = 4, gain = 1.25;
    struct shape in = o->input[0].shape, out = o->output.shape;
    const struct convolution *c = &o->convolution;
    bool bf16 = o->input[0].dtype == DTYPE_BF16 && cpu_has_bf16();
    double slices = c->kernel[AXIS_D] == 1 ? few_slices : (double)(in.d << c->upsampled[AXIS_D]);
    double tiles = (double)(blocks_of(out.h, TILE) * blocks_of(out.w, TILE)) * slices;
    double direct = TAPS * (double)(out.h * out.w) * slices / (bf16 ? 1.5 : 1.0);
    return in.c >= CHANNELS_MULTIPLE && direct >= gain * (1.25 * PRODUCTS * tiles + 600);
}

/* An input upsampled along d is taken in two phases, of two planes each. */
static bool has_phases(const struct convolution *c)
{
    return c->upsampled[AXIS_D] && c->kernel[AXIS_D] == 3 && c->pad_front[AXIS_D] == 1 &&
           c->pad_back[AXIS_D] == 1 && c->padding == PADDING_ZERO;
}

bool winograd_suits(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    int planes = c->kernel[AXIS_D];
    if (c->transposed || c->parts != 1 || c->first_channel || (planes != 1 && planes != 3) ||
        (c->upsampled[AXIS_D] && !has_phases(c)) || c->upsampled[AXIS_H] != c->upsampled[AXIS_W])
        return false;
    for (int a = 0; a < AXES; a++) {
        int extent = a == AXIS_D ? planes : 3;
        if (c->kernel[a] != extent || c->stride[a] != 1 || c->pad_front[a] >= extent ||
            c->pad_back[a] >= extent)
            return false;
    }
    return is_faster(o);
}

static void choose_block(struct winograd *w)
{
    bool flat = w->planes == 1;
    int64_t depth = w->out.d / w->phases;
    int64_t slices = flat ? 1 : even_block(depth, BLOCK_SLICES_3D, 1);
    int64_t tiles = BLOCK_TILES / slices / TILES_MULTIPLE * TILES_MULTIPLE;
    w->joined = flat || w->tiles < TILES_MULTIPLE;
    w->block_tiles =
        at_most(w->tiles, even_block(w->tiles, tiles ? tiles : TILES_MULTIPLE, TILES_MULTIPLE));
    if (w->joined)
        slices = at_most(depth, BLOCK_TILES / w->block_tiles);
    w->block_slices = even_block(depth, slices, 1);
    /* Smaller blocks where there are too few to keep the threads busy. */
    while (count_blocks(w) < 2 * w->threads && w->block_slices > 1)
        w->block_slices = blocks_of(w->block_slices, 2);
    while (count_blocks(w) < 2 * w->threads && w->block_tiles > TILES_MULTIPLE)
        w->block_tiles = round_up(w->block_tiles / 2, TILES_MULTIPLE);
}

/* Floats of the sums of a block, and how many blocks have theirs kept at a time. */
static int64_t choose_stretch(struct winograd *w)
{
    int64_t block = w->block_slices * w->block_tiles * TILE * TILE * w->out_part;
    int64_t most = SUMS_BYTES / (int64_t)sizeof(float) / block;
    w->stretch = count_blocks(w);
    w->sums = w->out_type == DTYPE_BF16 && w->in_part < w->in.c;
    if (w->sums)
        w->stretch = even_block(w->stretch, most > w->threads ? most : w->threads, 1);
    return w->sums ? w->stretch * block : 0;
}

static void choose_memory(struct winograd *w, struct needs *needs)
{
    int64_t panel = w->simd->vectors * w->simd->lanes, bytes = sizeof(float);
    int64_t pitch = pitch_of(w, w->block_tiles), sums = choose_stretch(w);
    int64_t rows = round_up(pitch * w->block_slices, w->simd->rows);
    size_t workspace = 0, thread = 0;
    w->row_step = w->in_part + CHANNELS_MULTIPLE;
    w->weight_step = odd_lines(w->planes * w->in_part * panel);
    w->input_step = odd_lines((rows + (w->planes - 1) * pitch) * w->row_step);
    w->sum_step = odd_lines(rows * panel);
    cpu_reserve(&thread, PRODUCTS * (w->input_step + w->sum_step), bytes);
    cpu_reserve(&workspace, blocks_of(w->out_part, panel) * PRODUCTS * w->weight_step, bytes);
    w->thread_bytes = thread;
    w->sums_at = cpu_reserve(&workspace, sums, bytes);
    w->threads_at = cpu_reserve(&workspace, w->threads, (int64_t)thread);
    if (workspace > needs->workspace)
        needs->workspace = workspace;
    cpu_reserve(&needs->prepared, w->phases * w->planes, plane_step(w) * dtype_size(w->type));
}

const char *winograd_create(struct winograd **winograd, const struct operation *o,
                            struct needs *needs)
{
    const struct convolution *c = &o->convolution;
    bool flat = c->kernel[AXIS_D] == 1, phases = has_phases(c);
    struct winograd *w = *winograd = malloc(sizeof *w);
    if (!w)
        return "out of memory";
    *w = (struct winograd){
        .simd = simd()->winograd,
        .in = o->input[0].shape,
        .out = o->output.shape,
        .type = o->input[0].dtype,
        .out_type = o->output.dtype,
        .planes = phases ? 2 : c->kernel[AXIS_D],
        .phases = phases ? 2 : 1,
        .up = c->upsampled[AXIS_H],
        .pad = {c->pad_front[AXIS_D], c->pad_front[AXIS_H], c->pad_front[AXIS_W]},
        .replicate = c->padding == PADDING_REPLICATE,
        .relu = c->relu,
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

/* Kernel planes first … end−1 whose sum plane `plane` of the packed weights is: both slices that a
 * slice became by upsampling see the same values. */
static void planes_of(const struct winograd *w, int64_t plane, int64_t *first, int64_t *end)
{
    static const int64_t of_phases[4][2] = {{0, 1}, {1, 3}, {0, 2}, {2, 3}};
    *first = w->phases == 2 ? of_phases[plane][0] : plane;
    *end = w->phases == 2 ? of_phases[plane][1] : plane + 1;
}

/* One plane of a channel's gathered taps, to `to` (3×3, lanes). */
static void pack_plane(const struct winograd *w, const float *taps, int64_t plane, void *to)
{
    int64_t count = TAPS * w->simd->lanes, first, end;
    float sum[TAPS * LANES_MOST];
    planes_of(w, plane, &first, &end);
    const float *from = taps + first * count;
    if (end - first > 1) {
        for (int64_t i = 0; i < count; i++)
            sum[i] = from[i] + from[count + i];
        from = sum;
    }
    if (w->type == DTYPE_BF16)
        f32_to_bf16(from, to, count);
    else
        memcpy(to, from, (size_t)count * sizeof *from);
}

/* Packed: (phases·planes, vectors of output channels, input channels, 3×3, lanes). */
void winograd_pack(const struct winograd *w, const struct kernel_taps *kernel, void *packed)
{
    int64_t lanes = w->simd->lanes, vectors = vectors_of(w, w->out.c);
    int64_t taps = (w->phases == 2 ? 3 : w->planes) * TAPS, bytes = dtype_size(w->type);
#pragma omp parallel for collapse(2) num_threads(cpu_team(w->threads, w->in.c * w->out.c * taps))
    for (int64_t v = 0; v < vectors; v++)
        for (int64_t channel = 0; channel < w->in.c; channel += PACKED_CHANNELS) {
            float gathered[PACKED_CHANNELS * 3 * TAPS * LANES_MOST];
            int64_t count = at_most(PACKED_CHANNELS, w->in.c - channel);
            kernel_taps_gather(kernel, v * lanes, at_most(lanes, w->out.c - v * lanes), channel,
                               count, lanes, gathered);
            for (int64_t plane = 0; plane < w->phases * w->planes; plane++)
                for (int64_t c = 0; c < count; c++)
                    pack_plane(w, gathered + c * taps * lanes, plane,
                               (char *)packed + ((plane * vectors + v) * w->in.c + channel + c) *
                                                    TAPS * lanes * bytes);
        }
}
