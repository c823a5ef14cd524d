/* OP_ATTENTION_DATA without T×T storage. With S = scale·q·kᵀ, P = softmax(S), y = P·v of a head:
 *   dv = Pᵀ·dy,  dS = P∘(dy·vᵀ − share), share = Σ dy·y of a query,  dq = scale·dS·k,
 *   dk = scale·dSᵀ·q.
 * Blocks of queries go through the blocks of keys, with a running softmax, for dq and for the level
 * of each query (P = exp(S − level)); then blocks of keys go through the queries for dk and dv.
 * Maps of bf16 are multiplied, and P and dS rounded, as bf16 where the processor does that. A unit
 * is one head of one set (a sample, or a slice of it), as in attention.c. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_BLOCK = 64,         /* queries, or keys, of a thread */
    COLUMN_BLOCK = 240,     /* keys, or queries, that they meet at a time, at most */
    COLUMN_MULTIPLE = 48,   /* as many as every instruction set multiplies at full speed */
    TILE_COLUMNS = 16,      /* the product takes multiples of this many columns */
    TILE_ROWS = 8,          /* and of this many rows */
    BLOCKS_A_THREAD = 4,    /* row blocks between two packings, */
    PACKED_BYTES = 1 << 20, /* or as many as make this: threads wait for each other in between */
};

/* The three vectors of a token, and the gradient of its result. */
enum part { QUERY, KEY, VALUE, PARTS, RESULT = PARTS, PACKED };

struct attention_state {
    struct attention attributes;
    enum dtype dtype;
    bool bf16;       /* products of bf16, else of f32 */
    int64_t element; /* bytes of one number of a product */
    float factor;    /* of scores: rows of bf16 are not scaled */
    int64_t tokens, width, padded_width;
    int64_t units, units_packed; /* in all; at a time */
    int64_t row_blocks, column_blocks, column_block;
    int64_t column_elements, row_elements; /* of a part of a unit, packed either way */
    size_t rows, levels, slabs;            /* in the workspace, after the columns */
    size_t scores, narrow, sums;           /* in a thread's slab, after the rows */
    size_t slab_bytes;
    int threads;
};

struct job {
    const struct attention_state *state;
    const void *qkv, *y, *dy;
    void *dqkv;
    char *columns, *rows; /* (packed unit, PACKED, …) */
    float *levels;        /* (packed unit, 2, tokens): level, share */
    char *slabs;
};

/* A thread's memory. */
struct slab {
    void *rows[2];       /* (ROW_BLOCK, width): f32, the first scaled, or bf16 */
    float *scores[2];    /* (ROW_BLOCK, column_block): S and dP, then P and dS */
    uint16_t *narrow[2]; /* P and dS of bf16 products */
    float *sums[2];      /* (ROW_BLOCK, padded_width) */
};

static const float ones[ROW_BLOCK] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t whole(int64_t count, int64_t block)
{
    return (count + block - 1) / block * block;
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_attention_data(o);
    if (why)
        return why;
    struct shape in = o->input[0].shape;
    int64_t sets = o->attention.per_slice ? in.n * in.d : in.n, f = sizeof(float);
    struct attention_state s = {
        .attributes = o->attention,
        .dtype = o->input[0].dtype,
        .tokens = in.n * in.d / sets * in.h * in.w,
        .width = in.c / PARTS / o->attention.heads,
        .units = sets * o->attention.heads,
        .threads = omp_get_max_threads(),
    };
    s.padded_width = whole(s.width, TILE_COLUMNS);
    s.row_blocks = (s.tokens + ROW_BLOCK - 1) / ROW_BLOCK;
    s.column_blocks = (s.tokens + COLUMN_BLOCK - 1) / COLUMN_BLOCK;
    s.column_block = whole((s.tokens + s.column_blocks - 1) / s.column_blocks, COLUMN_MULTIPLE);
    s.column_elements = whole(s.tokens, TILE_COLUMNS) * s.width;
    s.row_elements = whole(s.tokens, 2) * s.padded_width;
    s.bf16 = s.dtype == DTYPE_BF16 && s.width % 2 == 0 && cpu_has_bf16() &&
             simd()->convolution->multiply_bf16;
    s.element = s.bf16 ? sizeof(uint16_t) : sizeof(float);
    s.factor = s.bf16 ? s.attributes.scale : 1.0f;
    int64_t unit_bytes = PACKED * (s.column_elements + s.row_elements) * s.element;
    int64_t blocks = 1 + BLOCKS_A_THREAD * s.threads / s.row_blocks;
    int64_t few = PACKED_BYTES / unit_bytes;
    s.units_packed = least(s.units, few > blocks ? few : blocks);
    cpu_reserve(&s.slab_bytes, 2 * ROW_BLOCK * s.width, s.element);
    s.scores = cpu_reserve(&s.slab_bytes, 2 * ROW_BLOCK * s.column_block, f);
    s.narrow =
        cpu_reserve(&s.slab_bytes, s.bf16 ? 2 * ROW_BLOCK * s.column_block : 0, sizeof(uint16_t));
    s.sums = cpu_reserve(&s.slab_bytes, 2 * ROW_BLOCK * s.padded_width, f);
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->workspace, s.units_packed * PACKED, s.column_elements * s.element);
    s.rows = cpu_reserve(&needs->workspace, s.units_packed * PACKED, s.row_elements * s.element);
    s.levels = cpu_reserve(&needs->workspace, s.units_packed * 2, s.tokens * f);
    s.slabs = cpu_reserve(&needs->workspace, s.threads, (int64_t)s.slab_bytes);
    if (needs->workspace == SIZE_MAX)
        return "the map is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static struct slab own_slab(const struct job *job)
{
    const struct attention_state *s = job->state;
    char *memory = job->slabs + (size_t)omp_get_thread_num() * s->slab_bytes;
    float *scores = (float *)(memory + s->scores), *sums = (float *)(memory + s->sums);
    uint16_t *narrow = (uint16_t *)(memory + s->narrow);
    return (struct slab){
        .rows = {memory, memory + ROW_BLOCK * s->width * s->element},
        .scores = {scores, scores + ROW_BLOCK * s->column_block},
        .narrow = {narrow, narrow + ROW_BLOCK * s->column_block},
        .sums = {sums, sums + ROW_BLOCK * s->padded_width},
    };
}

/* Elements before a part of a token: of qkv, or of y and dy. */
static int64_t offset_of(const struct attention_state *s, int64_t unit, int64_t token,
                         enum part part)
{
    int64_t heads = s->attributes.heads;
    int64_t at = (unit / heads * s->tokens + token) * heads + unit % heads;
    return (part == RESULT ? at : at * PARTS + part) * s->width;
}

static struct rows part_rows(const struct job *job, int64_t unit, int64_t token, enum part part)
{
    const struct attention_state *s = job->state;
    const char *data = part == RESULT ? job->dy : job->qkv;
    return (struct rows){(char *)(uintptr_t)data +
                             offset_of(s, unit, token, part) * dtype_size(s->dtype),
                         s->dtype, (part == RESULT ? 1 : PARTS) * s->attributes.heads * s->width};
}

static void *packed_columns(const struct job *job, int64_t packed, enum part part, int64_t token)
{
    const struct attention_state *s = job->state;
    return job->columns +
           ((packed * PACKED + part) * s->column_elements + token * s->width) * s->element;
}

static void *packed_rows(const struct job *job, int64_t packed, enum part part, int64_t token)
{
    const struct attention_state *s = job->state;
    return job->rows +
           ((packed * PACKED + part) * s->row_elements + token * s->padded_width) * s->element;
}

static void pack_block(const struct job *job, int64_t packed, int64_t unit, int64_t token)
{
    const struct attention_state *s = job->state;
    const struct attention_simd *attention = simd()->attention;
    int64_t count = least(s->column_block, s->tokens - token);
    for (enum part part = QUERY; part < PACKED; part++) {
        struct rows from = part_rows(job, unit, token, part);
        void *columns = packed_columns(job, packed, part, token);
        void *rows = packed_rows(job, packed, part, token);
        if (s->bf16)
            attention->pack_transposed((struct rows){from.data, DTYPE_F32, from.stride / 2}, count,
                                       s->width / 2, columns);
        else
            attention->pack_transposed(from, count, s->width, columns);
        if (part != VALUE && s->bf16)
            attention->pack_pairs(from, count, s->width, rows);
        else if (part != VALUE)
            attention->pack(from, count, s->width, rows);
    }
}

/* Rows of a part, as f32 times factor or as bf16; zero beyond `count`, up to whole tiles. */
static void load_rows(const struct job *job, int64_t unit, int64_t first, enum part part,
                      int64_t count, float factor, void *to)
{
    const struct attention_state *s = job->state;
    int64_t bytes = s->width * s->element;
    for (int64_t i = 0; i < count; i++) {
        struct rows from = part_rows(job, unit, first + i, part);
        void *row = (char *)to + i * bytes;
        if (s->bf16)
            memcpy(row, from.data, (size_t)bytes);
        else
            simd()->attention->scale(from, s->width, factor, row);
    }
    memset((char *)to + count * bytes, 0, (size_t)((whole(count, TILE_ROWS) - count) * bytes));
}

static void write_rows(const struct job *job, int64_t unit, int64_t first, enum part part,
                       int64_t count, float factor, float *from)
{
    const struct attention_state *s = job->state;
    for (int64_t i = 0; i < count; i++) {
        int64_t to = offset_of(s, unit, first + i, part);
        float *row = from + i * s->padded_width;
        float *out = s->dtype == DTYPE_F32 ? (float *)job->dqkv + to : row;
        simd()->elementwise->scale(row, factor, out, s->width);
        if (s->dtype == DTYPE_BF16)
            f32_to_bf16(row, (uint16_t *)job->dqkv + to, s->width);
    }
}

/* Scores of a block: result (count, columns) = rows·packed; count: whole tiles. */
static void score(const struct attention_state *s, const void *rows, int64_t count,
                  const void *packed, int64_t columns, float *result)
{
    if (s->bf16)
        simd()->convolution->multiply_bf16(count, s->width / 2, columns, rows, s->width, packed,
                                           result, s->column_block, true);
    else
        simd()->attention->multiply(count, s->width, columns, rows, s->width, packed, result,
                                    s->column_block, NULL);
}

/* Sum i of a block (count, padded_width) = factor·sum + weights·packed, factor NULL: no sum yet;
 * the weights are P (which = 0) or dS of `columns` columns; count: whole tiles. */
static void accumulate(const struct attention_state *s, const struct slab *slab, int which,
                       int64_t count, int64_t columns, const void *packed, int i,
                       const float *factor)
{
    float *sums = slab->sums[i];
    if (!s->bf16) {
        simd()->attention->multiply(count, columns, s->padded_width, slab->scores[which],
                                    s->column_block, packed, sums, s->padded_width, factor);
        return;
    }
    for (int64_t row = 0; row < count && factor; row++)
        if (factor[row] != 1.0f)
            simd()->elementwise->scale(sums + row * s->padded_width, factor[row],
                                       sums + row * s->padded_width, s->padded_width);
    simd()->convolution->multiply_bf16(count, (columns + 1) / 2, s->padded_width,
                                       slab->narrow[which], s->column_block, packed, sums,
                                       s->padded_width, !factor);
}

/* P or dS of row i, for products of bf16 rounded, with zeros up to whole pairs. */
static void narrow_row(const struct attention_state *s, const struct slab *slab, int which,
                       int64_t i, int64_t columns)
{
    uint16_t *to = slab->narrow[which] + i * s->column_block;
    if (!s->bf16)
        return;
    f32_to_bf16(slab->scores[which] + i * s->column_block, to, columns);
    if (columns % 2)
        to[columns] = 0;
}

/* Σ dy·y of a query; memory: of two tokens. */
static float share_of(const struct job *job, int64_t unit, int64_t query, float *memory)
{
    const struct attention_state *s = job->state;
    int64_t at = offset_of(s, unit, query, RESULT) * dtype_size(s->dtype);
    const void *from[2] = {job->y, job->dy};
    for (int k = 0; k < 2; k++) {
        struct rows row = {(char *)(uintptr_t)from[k] + at, s->dtype, s->width};
        simd()->attention->scale(row, s->width, 1.0f, memory + k * s->width);
    }
    double product = 0.0;
    for (int64_t j = 0; j < s->width; j++)
        product += (double)memory[j] * (double)memory[s->width + j];
    return (float)product;
}

/* Row i of a block of scores to multiples of P and dS; returns the factor that the sums take. */
static float weigh_keys(const struct attention_state *s, const struct slab *slab, int64_t i,
                        int64_t keys, float share, float *maximum, float *sum)
{
    const struct attention_simd *attention = simd()->attention;
    float *scores = slab->scores[0] + i * s->column_block;
    int64_t padded = whole(keys, TILE_COLUMNS);
    for (int64_t k = keys; k < padded; k++)
        scores[k] = -INFINITY;
    float factor = s->bf16 ? attention->softmax_bf16(scores, padded, s->factor, maximum, sum,
                                                     slab->narrow[0] + i * s->column_block)
                           : attention->softmax(scores, padded, maximum, sum);
    attention->differentiate(scores, slab->scores[1] + i * s->column_block, keys, share);
    narrow_row(s, slab, 1, i, keys);
    return factor;
}

/* dq of a block of queries, their levels and shares. */
static void attend_queries(const struct job *job, int64_t packed, int64_t unit, int64_t first)
{
    const struct attention_state *s = job->state;
    const struct slab slab = own_slab(job);
    int64_t count = least(ROW_BLOCK, s->tokens - first), stride = s->column_block;
    int64_t rows = whole(count, TILE_ROWS);
    float *level = job->levels + packed * 2 * s->tokens + first, *share = level + s->tokens;
    float maximum[ROW_BLOCK], sum[ROW_BLOCK] = {0}, factor[ROW_BLOCK] = {0};
    load_rows(job, unit, first, QUERY, count, s->attributes.scale, slab.rows[0]);
    load_rows(job, unit, first, RESULT, count, 1.0f, slab.rows[1]);
    for (int64_t i = 0; i < count; i++) {
        maximum[i] = -INFINITY;
        share[i] = share_of(job, unit, first + i, slab.sums[1]);
    }
    for (int64_t key = 0; key < s->tokens; key += stride) {
        int64_t keys = least(stride, s->tokens - key), padded = whole(keys, TILE_COLUMNS);
        score(s, slab.rows[0], rows, packed_columns(job, packed, KEY, key), padded, slab.scores[0]);
        score(s, slab.rows[1], rows, packed_columns(job, packed, VALUE, key), padded,
              slab.scores[1]);
        for (int64_t i = 0; i < count; i++)
            factor[i] = weigh_keys(s, &slab, i, keys, share[i], &maximum[i], &sum[i]);
        accumulate(s, &slab, 1, rows, keys, packed_rows(job, packed, KEY, key), 0,
                   key ? factor : NULL);
    }
    for (int64_t i = 0; i < count; i++) {
        float *row = slab.sums[0] + i * s->padded_width;
        level[i] = maximum[i] + logf(sum[i]);
        simd()->elementwise->scale(row, 1.0f / sum[i], row, s->width);
    }
    write_rows(job, unit, first, QUERY, count, s->attributes.scale, slab.sums[0]);
}

/* dk and dv of a block of keys. */
static void attend_keys(const struct job *job, int64_t packed, int64_t unit, int64_t first)
{
    const struct attention_state *s = job->state;
    const struct slab slab = own_slab(job);
    int64_t count = least(ROW_BLOCK, s->tokens - first), stride = s->column_block;
    int64_t rows = whole(count, TILE_ROWS);
    load_rows(job, unit, first, KEY, count, s->attributes.scale, slab.rows[0]);
    load_rows(job, unit, first, VALUE, count, 1.0f, slab.rows[1]);
    for (int64_t query = 0; query < s->tokens; query += stride) {
        int64_t queries = least(stride, s->tokens - query), padded = whole(queries, TILE_COLUMNS);
        const float *level = job->levels + packed * 2 * s->tokens + query;
        score(s, slab.rows[0], rows, packed_columns(job, packed, QUERY, query), padded,
              slab.scores[0]);
        score(s, slab.rows[1], rows, packed_columns(job, packed, RESULT, query), padded,
              slab.scores[1]);
        for (int64_t i = 0; i < count; i++) {
            simd()->attention->weigh_columns(slab.scores[0] + i * stride,
                                             slab.scores[1] + i * stride, queries, s->factor, level,
                                             level + s->tokens);
            narrow_row(s, &slab, 0, i, queries);
            narrow_row(s, &slab, 1, i, queries);
        }
        const float *factor = query ? ones : NULL;
        accumulate(s, &slab, 1, rows, queries, packed_rows(job, packed, QUERY, query), 0, factor);
        accumulate(s, &slab, 0, rows, queries, packed_rows(job, packed, RESULT, query), 1, factor);
    }
    write_rows(job, unit, first, KEY, count, s->attributes.scale, slab.sums[0]);
    write_rows(job, unit, first, VALUE, count, 1.0f, slab.sums[1]);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct attention_state *s = state;
    char *memory = workspace;
    const struct job job = {
        .state = s,
        .qkv = inputs[0],
        .y = inputs[1],
        .dy = inputs[2],
        .dqkv = output,
        .columns = workspace,
        .rows = memory + s->rows,
        .levels = (float *)(memory + s->levels),
        .slabs = memory + s->slabs,
    };
    int64_t columns = s->column_blocks, blocks = s->row_blocks;
#pragma omp parallel num_threads(cpu_team(s->threads, s->units * s->tokens * s->tokens * s->width))
    for (int64_t unit = 0; unit < s->units; unit += s->units_packed) {
        int64_t count = least(s->units_packed, s->units - unit);
#pragma omp for
        for (int64_t i = 0; i < count * columns; i++)
            pack_block(&job, i / columns, unit + i / columns, i % columns * s->column_block);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < count * blocks; i++)
            attend_queries(&job, i / blocks, unit + i / blocks, i % blocks * ROW_BLOCK);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < count * blocks; i++)
            attend_keys(&job, i / blocks, unit + i / blocks, i % blocks * ROW_BLOCK);
    }
    return NULL;
}

const struct kernel cpu_attention_data = {create, needs_nothing, run, free};
