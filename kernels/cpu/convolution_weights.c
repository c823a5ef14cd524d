#include "kernels/cpu/convolution_weights.h"
#include "kernels/check_training.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_FLOATS = 160 << 10, /* sums of a chunk: they leave room in a cache of 1 MB */
    TASKS = 64,               /* wanted, to keep many threads busy */
    PART_BLOCKS = 8,          /* of a part, at least: against them what its sums cost is small */
    PARTS_FLOATS = 8 << 20,   /* sums of all parts, at most */
    BIAS_OUTPUTS = 4096,      /* of a part of the bias, at least */
};

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t blocks_of(int64_t count, int64_t block)
{
    return (count + block - 1) / block;
}

static void choose_chunks(struct convolution_weights *s)
{
    const struct convolution_weights_simd *set = simd()->convolution_weights;
    int64_t width = set->vectors * set->lanes, out = s->products.output.shape.c;
    int64_t most = CHUNK_FLOATS / (s->taps * width) / set->rows * set->rows;
    most = most < set->rows ? set->rows : at_most(most, WEIGHTS_ROWS);
    s->rows = convolution_rounded(blocks_of(out, blocks_of(out, most)), set->rows);
    s->row_chunks = blocks_of(out, s->rows);
    s->panels = blocks_of(blocks_of(s->products.input[0].shape.c, set->lanes), set->vectors);
    most = at_most(CHUNK_FLOATS / (s->taps * width * s->rows), WEIGHTS_GROUP);
    s->column_chunks = blocks_of(s->panels, most > 1 ? most : 1);
    s->group = blocks_of(s->panels, s->column_chunks);
    s->column_chunks = blocks_of(s->panels, s->group);
    s->tile_floats = set->rows * width;
    s->chunk_floats = s->taps * s->rows * s->group * width;
}

static int64_t count_chunks(const struct convolution_weights *s)
{
    return s->row_chunks * s->column_chunks;
}

static void choose_parts(struct convolution_weights *s)
{
    int64_t blocks = blocks_of(s->outputs, WEIGHTS_BLOCK);
    int64_t parts = at_most(blocks_of(TASKS, count_chunks(s)), blocks / PART_BLOCKS);
    parts = at_most(parts, PARTS_FLOATS / (count_chunks(s) * s->chunk_floats));
    s->part_outputs = blocks_of(blocks, parts > 1 ? parts : 1) * WEIGHTS_BLOCK;
    s->parts = blocks_of(s->outputs, s->part_outputs);
}

static void choose_memory(struct convolution_weights *s, struct needs *needs)
{
    const struct convolution_weights_simd *set = simd()->convolution_weights;
    int64_t floats = sizeof(float), steps = s->bf16 ? WEIGHTS_BLOCK / 2 : WEIGHTS_BLOCK;
    size_t desk = 0;
    cpu_reserve(&desk, WEIGHTS_BLOCK, sizeof(void *));
    s->patches_at = cpu_reserve(&desk, s->patched ? WEIGHTS_BLOCK * s->patches.numbers : 0, floats);
    s->y_at = cpu_reserve(&desk, steps * s->rows, floats);
    s->x_at = cpu_reserve(&desk, steps * set->vectors * set->lanes, floats);
    s->sums_at = cpu_reserve(&desk, s->parts == 1 ? s->chunk_floats : 0, floats);
    s->desk_bytes = desk;
    s->desks_at = cpu_reserve(&needs->workspace, s->threads, (int64_t)desk);
    s->parts_at = cpu_reserve(&needs->workspace, s->parts == 1 ? 0 : s->parts * count_chunks(s),
                              s->chunk_floats * floats);
}

static void choose_bias(struct convolution_weights *s, struct needs *needs)
{
    struct shape y = s->forward.output.shape;
    int64_t outputs = shape_count(y) / y.c;
    int64_t parts = at_most(TASKS, blocks_of(outputs, BIAS_OUTPUTS));
    s->bias_outputs = convolution_rounded(blocks_of(outputs, parts), WEIGHTS_BLOCK);
    s->bias_parts = blocks_of(outputs, s->bias_outputs);
    s->bias_at = cpu_reserve(&needs->workspace, s->bias_parts * y.c, sizeof(float));
}

static void destroy(void *state)
{
    struct convolution_weights *s = state;
    winograd_weights_destroy(s->winograd);
    convolution_map_destroy(&s->map);
    convolution_patches_destroy(&s->patches);
    free(s);
}

/* Products that give, for each pixel of the convolution's output, all of a patch. */
static struct operation pointwise(const struct convolution_patches *patches)
{
    struct operation o = {.kind = OP_CONVOLUTION, .inputs = 1};
    o.convolution = (struct convolution){.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .parts = 1};
    o.input[0] = o.output = patches->of.output;
    o.output.dtype = patches->of.input[0].dtype;
    o.output.shape.c = patches->numbers;
    return o;
}

static const char *choose_products(struct convolution_weights *s, struct needs *needs)
{
    const struct operation *f = &s->forward;
    struct operation mirror;
    bool one = f->convolution.parts == 1, boxes = convolution_boxes_there(f);
    bool few = f->output.shape.c <= PATCH_CHANNELS && f->input[0].shape.c > PATCH_CHANNELS;
    s->mirrored = one && (boxes || few) && convolution_boxes_mirror(f, &mirror);
    s->boxed = s->mirrored && boxes;
    s->products = s->mirrored ? mirror : *f;
    if (s->boxed) {
        s->products.input[0].dtype = DTYPE_F32;
        convolution_boxes_create(&s->boxes, f, s->products.input[0], needs);
    }
    s->patched = one && s->products.input[0].shape.c <= PATCH_CHANNELS;
    if (s->patched) {
        if (convolution_patches_create(&s->patches, &s->products))
            return "out of memory";
        s->products = pointwise(&s->patches);
    }
    s->bf16 = s->products.input[0].dtype == DTYPE_BF16 && s->products.output.dtype == DTYPE_BF16 &&
              cpu_has_bf16() && simd()->convolution_weights->multiply_bf16;
    return NULL;
}

static const char *choose(struct convolution_weights *s, struct needs *needs)
{
    const struct operation *f = &s->products;
    const char *why = choose_products(s, needs);
    if (why)
        return why;
    if (convolution_map_create(&s->map, f))
        return "out of memory";
    struct shape y = f->output.shape;
    s->outputs = y.n * y.d * y.h * y.w;
    s->taps = convolution_taps(&f->convolution);
    choose_bias(s, needs);
    bool winograd = !s->mirrored && !s->patched && winograd_weights_suits(f);
    needs->algorithm = winograd ? "winograd" : "direct";
    if (winograd) {
        why = winograd_weights_create(&s->winograd, f, &s->map, needs);
    } else {
        choose_chunks(s);
        choose_parts(s);
        choose_memory(s, needs);
    }
    return !why && needs->workspace == SIZE_MAX ? "the kernel is too large" : why;
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_convolution_weights(o);
    if (why)
        return why;
    struct convolution_weights *s = calloc(1, sizeof *s);
    if (!s)
        return "out of memory";
    s->forward = convolution_forward(o, o->input[0], o->input[1]);
    s->threads = omp_get_max_threads();
    *needs = (struct needs){0};
    *in_place = -1;
    why = choose(s, needs);
    *state = s;
    if (why)
        destroy(s);
    return why;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct convolution_weights *s = state;
    (void)prepared, (void)scratch;
    s->forward = convolution_forward(o, o->input[0], o->input[1]);
    s->alpha = convolution_mix(&s->forward);
    s->wanted = s->bias_wanted = false;
    for (int part = 0; part < o->convolution.parts; part++) {
        s->wanted |= o->gradient[2 * part] != NULL;
        s->bias_wanted |= o->gradient[2 * part + 1] != NULL;
    }
    return NULL;
}

/* The part of the kernel that makes an output channel; *channel becomes its number there. */
static int part_of(const struct operation *forward, int64_t *channel)
{
    const int axis = forward->convolution.transposed ? 1 : 0;
    int part = 0;
    while (*channel >= forward->weight[2 * part].shape[axis])
        *channel -= forward->weight[2 * part++].shape[axis];
    return part;
}

/* Where tap `tap` of an input channel and an output channel of a part lies in the gradient, which
 * is NULL where it is not wanted; *in_step and *out_step are from one channel to the next. */
static float *find_gradient(const struct convolution_weights *s, int part, int64_t out, int64_t in,
                            int64_t tap, int64_t *in_step, int64_t *out_step)
{
    const struct convolution *c = &s->forward.convolution;
    int64_t taps = convolution_taps(c), row = s->forward.weight[2 * part].shape[1] * taps;
    float *gradient = s->forward.gradient[2 * part];
    *in_step = c->transposed ? row : taps;
    *out_step = c->transposed ? taps : row;
    return gradient ? gradient + out * *out_step + (c->first_channel + in) * *in_step + tap : NULL;
}

/* Sums of one number of the patches with `count` channels of the other map. */
static void add_patch(const struct convolution_weights *s, int64_t number, int64_t first,
                      int64_t count, const float *sums)
{
    int64_t channels = s->patches.of.input[0].shape.c, in_step, out_step;
    int64_t tap = number / channels, channel = number % channels;
    int64_t last = s->patches.numbers / channels - 1;
    float *to = s->mirrored ? find_gradient(s, 0, channel, first, last - tap, &in_step, &out_step)
                            : find_gradient(s, 0, first, channel, tap, &in_step, &out_step);
    if (to)
        simd()->convolution_weights->add_transposed(sums, count, 1, count, s->alpha, to,
                                                    s->mirrored ? in_step : out_step);
}

void convolution_weights_add(const struct convolution_weights *s, int64_t out, int64_t in,
                             int64_t count, const float *sums, int64_t step)
{
    const struct convolution_weights_simd *set = simd()->convolution_weights;
    int64_t in_step, out_step;
    if (s->patched) {
        add_patch(s, out, in, count, sums);
    } else if (s->mirrored) {
        float *to = find_gradient(s, 0, in, out, 0, &in_step, &out_step);
        if (to)
            set->add_transposed(sums + (s->taps - 1) * step, -step, s->taps, count, s->alpha, to,
                                out_step);
    } else {
        int part = part_of(&s->forward, &out);
        float *to = find_gradient(s, part, out, in, 0, &in_step, &out_step);
        if (to)
            set->add_transposed(sums, step, s->taps, count, s->alpha, to, in_step);
    }
}

/* Add the sums of a register tile of a chunk to the gradient, those of the parts, `step` apart, in
 * their order. */
static void add_tile(const struct convolution_weights *s,
                     const struct convolution_weights_task *chunk, int64_t tile, int64_t step)
{
    const struct convolution_weights_simd *set = simd()->convolution_weights;
    int64_t panel_floats = s->rows / set->rows * s->tile_floats, first;
    int64_t in = s->products.input[0].shape.c, out = chunk->row * s->rows + tile * set->rows;
    float *sums = chunk->sums + tile * s->tile_floats;
    for (int64_t part = 1; part < s->parts; part++)
        for (int64_t k = 0; k < s->taps * s->group; k++)
            set->add(sums + part * step + k * panel_floats, s->tile_floats,
                     sums + k * panel_floats);
    for (int64_t i = 0; i < at_most(set->rows, s->products.output.shape.c - out); i++)
        for (int64_t k = 0; k < s->group && chunk->column * s->group + k < s->panels; k++) {
            int vectors =
                convolution_weights_panel(in, s->panels, chunk->column * s->group + k, &first);
            int64_t width = vectors * set->lanes;
            convolution_weights_add(s, out + i, first, at_most(width, in - first),
                                    sums + k * panel_floats + i * width, s->group * panel_floats);
        }
}

/* Neighbouring tasks are parts of one chunk. */
static void run_task(const struct convolution_weights *s, const void *const *inputs, int64_t number,
                     char *workspace)
{
    int64_t part = number % s->parts, chunk = number / s->parts;
    char *desk = workspace + s->desks_at + (size_t)omp_get_thread_num() * s->desk_bytes;
    float *parts = (float *)(void *)(workspace + s->parts_at);
    struct convolution_weights_task task = {
        .row = chunk / s->column_chunks,
        .column = chunk % s->column_chunks,
        .begin = part * s->part_outputs,
        .end = at_most((part + 1) * s->part_outputs, s->outputs),
        .sums = s->parts > 1 ? parts + (part * count_chunks(s) + chunk) * s->chunk_floats
                             : (float *)(void *)(desk + s->sums_at),
        .desk = desk,
    };
    memset(task.sums, 0, (size_t)s->chunk_floats * sizeof(float));
    convolution_weights_sum(s, inputs[0], inputs[1], &task);
    int64_t tiles = s->parts > 1 ? 0 : s->rows / simd()->convolution_weights->rows;
    for (int64_t tile = 0; tile < tiles; tile++)
        add_tile(s, &task, tile, 0);
}

/* For every thread of a team to call. */
static void run_products(const struct convolution_weights *s, const void *const *inputs,
                         char *workspace)
{
    int64_t chunks = count_chunks(s), tiles = s->rows / simd()->convolution_weights->rows;
    float *parts = (float *)(void *)(workspace + s->parts_at);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < chunks * s->parts; i++)
        run_task(s, inputs, i, workspace);
    if (s->parts == 1)
        return;
#pragma omp for collapse(2) schedule(dynamic)
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        for (int64_t tile = 0; tile < tiles; tile++) {
            struct convolution_weights_task task = {
                .row = chunk / s->column_chunks,
                .column = chunk % s->column_chunks,
                .sums = parts + chunk * s->chunk_floats,
            };
            add_tile(s, &task, tile, chunks * s->chunk_floats);
        }
}

/* The sums of dy over a part of the outputs: block by block, so that rounding errors do not grow
 * with the number of outputs. */
static void sum_bias(const struct convolution_weights *s, const void *dy, int64_t part, float *sums)
{
    struct tensor y = s->forward.output;
    int64_t end = at_most((part + 1) * s->bias_outputs, shape_count(y.shape) / y.shape.c);
    memset(sums, 0, (size_t)y.shape.c * sizeof *sums);
    for (int64_t i = part * s->bias_outputs; i < end; i += WEIGHTS_BLOCK)
        for (int64_t c = 0; c < y.shape.c; c += WEIGHTS_ROWS) {
            float sum[WEIGHTS_ROWS] = {0};
            char *from = (char *)(uintptr_t)dy + (i * y.shape.c + c) * dtype_size(y.dtype);
            int64_t count = at_most(WEIGHTS_ROWS, y.shape.c - c);
            simd()->convolution_weights->sum_rows((struct rows){from, y.dtype, y.shape.c},
                                                  at_most(WEIGHTS_BLOCK, end - i), count, sum);
            simd()->convolution_weights->add(sum, count, sums + c);
        }
}

static void add_bias(const struct convolution_weights *s, const float *sums)
{
    for (int64_t i = 0; i < s->forward.output.shape.c; i++) {
        int64_t channel = i;
        float *to = s->forward.gradient[2 * part_of(&s->forward, &channel) + 1], sum = 0;
        for (int64_t part = 0; part < s->bias_parts; part++)
            sum += sums[part * s->forward.output.shape.c + i];
        if (to)
            to[channel] += s->alpha * sum;
    }
}

/* The maps that are multiplied: in the places of x and dy. For every thread of a team to call. */
static void find_maps(const struct convolution_weights *s, const void *const *inputs,
                      void *workspace, const void *map[2])
{
    const void *x = inputs[0], *y = inputs[1];
    if (s->boxed)
        convolution_boxes_run(&s->boxes, inputs[1], workspace);
    if (s->mirrored) {
        x = s->boxed ? (const char *)workspace + s->boxes.at : inputs[1];
        y = inputs[0];
    }
    map[0] = s->patched ? y : x;
    map[1] = s->patched ? x : y;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_weights *s = state;
    int64_t c = s->forward.output.shape.c;
    float *bias = (float *)(void *)((char *)workspace + s->bias_at);
    int team = cpu_team(s->threads, s->outputs * s->products.output.shape.c * s->taps *
                                        s->products.input[0].shape.c / 64);
    *(float *)output = 0;
#pragma omp parallel num_threads(team)
    {
#pragma omp for schedule(dynamic)
        for (int64_t part = 0; part < (s->bias_wanted ? s->bias_parts : 0); part++)
            sum_bias(s, inputs[1], part, bias + part * c);
        if (s->wanted && s->winograd) {
            winograd_weights_run(s->winograd, s, inputs[0], inputs[1], workspace);
        } else if (s->wanted) {
            const void *map[2];
            find_maps(s, inputs, workspace, map);
            run_products(s, map, workspace);
        }
    }
    if (s->bias_wanted)
        add_bias(s, bias);
    return NULL;
}

const struct kernel cpu_convolution_weights = {create, prepare, run, destroy};
