/* OP_ATTENTION by blocks of queries and keys with a running softmax, so that T×T scores never
 * exist. Maps of bf16 are multiplied, and weights rounded, as bf16 where the processor does that. A
 * unit is one head of one set (a sample, or a slice of it). The keys and values of as many units as
 * keep all threads busy are packed into the workspace; then each block of queries of each unit goes
 * through the blocks of keys in their order. */
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUERY_BLOCK = 64,
    KEY_BLOCK = 240,      /* at most */
    KEY_MULTIPLE = 48,    /* columns that every instruction set multiplies at full speed */
    TILE_ROWS = 8,        /* the product takes multiples of this many rows … */
    TILE_COLUMNS = 16,    /* … and of this many columns */
    BLOCKS_A_THREAD = 32, /* query blocks between two packings */
};

struct attention_state {
    struct attention attributes;
    enum dtype in_dtype, out_dtype;
    bool bf16; /* products of bf16, else of f32 */
    int64_t tokens, width, padded_width;
    int64_t units, units_packed;        /* in all; at a time */
    int64_t query_blocks, key_blocks;   /* of a unit */
    int64_t key_block;                  /* keys in a block */
    int64_t key_bytes, value_bytes;     /* packed, of one key, of one value */
    int64_t keys_of_unit;               /* whole vectors */
    size_t values, slabs;               /* in the workspace, after the keys */
    size_t sums, scores, weights, rows; /* in a thread's slab, after the queries */
    size_t slab_bytes;
    int threads;
};

/* One run: the state with its memory. */
struct job {
    const struct attention_state *state;
    const void *input;
    void *output;
    char *keys, *values; /* of each packed unit */
    char *slabs;
};

/* A thread's memory. */
struct slab {
    void *queries;     /* (QUERY_BLOCK, width): f32, scaled, or bf16 */
    float *sums;       /* (QUERY_BLOCK, padded_width): Σ exp(score − maximum)·value */
    float *scores;     /* (QUERY_BLOCK, key_block) */
    uint16_t *weights; /* the same, of bf16 products */
    float *maximum, *sum, *factor; /* (QUERY_BLOCK), see simd.h */
};

/* The three vectors of a token. */
enum part { QUERY, KEY, VALUE, PARTS };

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
    struct shape in = o->input[0].shape;
    const struct attention *a = &o->attention;
    const char *why = check_attention(o);
    if (why)
        return why;
    int64_t sets = a->per_slice ? in.n * in.d : in.n;
    struct attention_state s = {
        .attributes = *a,
        .in_dtype = o->input[0].dtype,
        .out_dtype = o->output.dtype,
        .tokens = in.n * in.d / sets * in.h * in.w,
        .width = o->output.shape.c / a->heads,
        .units = sets * a->heads,
        .threads = omp_get_max_threads(),
    };
    s.padded_width = whole(s.width, TILE_COLUMNS);
    s.query_blocks = (s.tokens + QUERY_BLOCK - 1) / QUERY_BLOCK;
    s.key_blocks = (s.tokens + KEY_BLOCK - 1) / KEY_BLOCK;
    s.key_block = whole((s.tokens + s.key_blocks - 1) / s.key_blocks, KEY_MULTIPLE);
    s.units_packed = least(s.units, 1 + BLOCKS_A_THREAD * s.threads / s.query_blocks);
    s.bf16 = s.in_dtype == DTYPE_BF16 && s.width % 2 == 0 && cpu_has_bf16() &&
             simd()->convolution->multiply_bf16;
    int64_t element = s.bf16 ? sizeof(uint16_t) : sizeof(float);
    s.keys_of_unit = whole(s.tokens, TILE_COLUMNS);
    s.key_bytes = s.width * element;
    s.value_bytes = s.padded_width * element;

    cpu_reserve(&s.slab_bytes, QUERY_BLOCK * s.width, element);
    s.sums = cpu_reserve(&s.slab_bytes, QUERY_BLOCK * s.padded_width, sizeof(float));
    s.scores = cpu_reserve(&s.slab_bytes, QUERY_BLOCK * s.key_block, sizeof(float));
    s.weights = cpu_reserve(&s.slab_bytes, s.bf16 ? QUERY_BLOCK * s.key_block : 0, element);
    s.rows = cpu_reserve(&s.slab_bytes, 3 * QUERY_BLOCK, sizeof(float));
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->workspace, s.units_packed, s.keys_of_unit * s.key_bytes);
    s.values = cpu_reserve(&needs->workspace, s.units_packed, s.keys_of_unit * s.value_bytes);
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
    float *rows = (float *)(memory + s->rows);
    return (struct slab){
        .queries = memory,
        .sums = (float *)(memory + s->sums),
        .scores = (float *)(memory + s->scores),
        .weights = (uint16_t *)(memory + s->weights),
        .maximum = rows,
        .sum = rows + QUERY_BLOCK,
        .factor = rows + 2 * QUERY_BLOCK,
    };
}

/* The queries, keys or values of a unit from a token on. */
static struct rows part_rows(const struct job *job, int64_t unit, int64_t token, enum part part)
{
    const struct attention_state *s = job->state;
    int64_t heads = s->attributes.heads, set = unit / heads, head = unit % heads;
    int64_t first = (((set * s->tokens + token) * heads + head) * PARTS + part) * s->width;
    return (struct rows){
        .data = (char *)job->input + first * dtype_size(s->in_dtype),
        .dtype = s->in_dtype,
        .stride = PARTS * heads * s->width,
    };
}

/* Where a packed unit's keys (values) from `key` on lie. */
static void *packed_keys(const struct job *job, int64_t packed, int64_t key)
{
    return job->keys + (packed * job->state->keys_of_unit + key) * job->state->key_bytes;
}

static void *packed_values(const struct job *job, int64_t packed, int64_t key)
{
    return job->values + (packed * job->state->keys_of_unit + key) * job->state->value_bytes;
}

static void pack_block(const struct job *job, int64_t packed, int64_t unit, int64_t key)
{
    const struct attention_state *s = job->state;
    const struct attention_simd *attention = simd()->attention;
    int64_t count = least(s->key_block, s->tokens - key);
    struct rows keys = part_rows(job, unit, key, KEY), values = part_rows(job, unit, key, VALUE);
    if (s->bf16) {
        struct rows pairs = {keys.data, DTYPE_F32, keys.stride / 2};
        attention->pack_transposed(pairs, count, s->width / 2, packed_keys(job, packed, key));
        attention->pack_pairs(values, count, s->width, packed_values(job, packed, key));
    } else {
        attention->pack_transposed(keys, count, s->width, packed_keys(job, packed, key));
        attention->pack(values, count, s->width, packed_values(job, packed, key));
    }
}

/* The queries of a block, `rows` of them, zero beyond `count`; those of f32 are scaled here. */
static void load_queries(const struct job *job, int64_t unit, int64_t first, int64_t count,
                         int64_t rows, const struct slab *slab)
{
    const struct attention_state *s = job->state;
    for (int64_t i = 0; i < rows; i++) {
        void *query = (char *)slab->queries + i * s->key_bytes;
        struct rows from = part_rows(job, unit, first + (i < count ? i : 0), QUERY);
        if (i >= count)
            memset(query, 0, (size_t)s->key_bytes);
        else if (s->bf16)
            memcpy(query, from.data, (size_t)s->key_bytes);
        else
            simd()->attention->scale(from, s->width, s->attributes.scale, query);
        slab->maximum[i] = -INFINITY;
        slab->sum[i] = 0.0f;
    }
}

/* Divide the sums of a block's queries by their sums of weights and write them out. */
static void write_queries(const struct job *job, int64_t unit, int64_t first, int64_t count,
                          const struct slab *slab)
{
    const struct attention_state *s = job->state;
    int64_t heads = s->attributes.heads, set = unit / heads, head = unit % heads;
    for (int64_t i = 0; i < count; i++) {
        float *values = slab->sums + i * s->padded_width;
        int64_t to = ((set * s->tokens + first + i) * heads + head) * s->width;
        struct rows from = {values, DTYPE_F32, s->padded_width};
        float *out = s->out_dtype == DTYPE_F32 ? (float *)job->output + to : values;
        simd()->attention->scale(from, s->width, 1.0f / slab->sum[i], out);
        if (s->out_dtype == DTYPE_BF16)
            f32_to_bf16(values, (uint16_t *)job->output + to, s->width);
    }
}

/* Scores of a block of keys to weights, their sums, and the factors of what came before. */
static void weigh(const struct attention_state *s, const struct slab *slab, int64_t rows,
                  int64_t keys)
{
    const struct attention_simd *attention = simd()->attention;
    int64_t padded = whole(keys, TILE_COLUMNS);
    for (int64_t i = 0; i < rows; i++) {
        float *scores = slab->scores + i * s->key_block;
        for (int64_t key = keys; key < padded; key++)
            scores[key] = -INFINITY;
        slab->factor[i] =
            s->bf16
                ? attention->softmax_bf16(scores, padded, s->attributes.scale, &slab->maximum[i],
                                          &slab->sum[i], slab->weights + i * s->key_block)
                : attention->softmax(scores, padded, &slab->maximum[i], &slab->sum[i]);
    }
}

/* sums = factor·sums + weights·values; keys from the first to the last of a unit. */
static void add_values(const struct attention_state *s, const struct slab *slab, int64_t rows,
                       int64_t keys, const void *values, bool first)
{
    if (!s->bf16) {
        simd()->attention->multiply(rows, keys, s->padded_width, slab->scores, s->key_block, values,
                                    slab->sums, s->padded_width, first ? NULL : slab->factor);
        return;
    }
    for (int64_t i = 0; i < rows && !first; i++) {
        struct rows sums = {slab->sums + i * s->padded_width, DTYPE_F32, s->padded_width};
        if (slab->factor[i] != 1.0f)
            simd()->attention->scale(sums, s->padded_width, slab->factor[i], sums.data);
    }
    simd()->convolution->multiply_bf16(rows, (keys + 1) / 2, s->padded_width, slab->weights,
                                       s->key_block, values, slab->sums, s->padded_width, first);
}

static void score(const struct attention_state *s, const struct slab *slab, int64_t rows,
                  int64_t keys, const void *packed)
{
    int64_t columns = whole(keys, TILE_COLUMNS);
    if (s->bf16)
        simd()->convolution->multiply_bf16(rows, s->width / 2, columns, slab->queries, s->width,
                                           packed, slab->scores, s->key_block, true);
    else
        simd()->attention->multiply(rows, s->width, columns, slab->queries, s->width, packed,
                                    slab->scores, s->key_block, NULL);
}

static void attend(const struct job *job, int64_t packed, int64_t unit, int64_t first)
{
    const struct attention_state *s = job->state;
    const struct slab slab = own_slab(job);
    int64_t count = least(QUERY_BLOCK, s->tokens - first), rows = whole(count, TILE_ROWS);
    load_queries(job, unit, first, count, rows, &slab);
    for (int64_t key = 0; key < s->tokens; key += s->key_block) {
        int64_t keys = least(s->key_block, s->tokens - key);
        score(s, &slab, rows, keys, packed_keys(job, packed, key));
        weigh(s, &slab, rows, keys);
        add_values(s, &slab, rows, keys, packed_values(job, packed, key), key == 0);
    }
    write_queries(job, unit, first, count, &slab);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct attention_state *s = state;
    char *memory = workspace;
    const struct job job = {
        .state = s,
        .input = inputs[0],
        .output = output,
        .keys = workspace,
        .values = memory + s->values,
        .slabs = memory + s->slabs,
    };
    int64_t key_blocks = s->key_blocks, query_blocks = s->query_blocks;
#pragma omp parallel num_threads(cpu_team(s->threads, s->units * s->tokens * s->tokens * s->width))
    for (int64_t unit = 0; unit < s->units; unit += s->units_packed) {
        int64_t count = least(s->units_packed, s->units - unit);
#pragma omp for
        for (int64_t i = 0; i < count * key_blocks; i++)
            pack_block(&job, i / key_blocks, unit + i / key_blocks, i % key_blocks * s->key_block);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < count * query_blocks; i++)
            attend(&job, i / query_blocks, unit + i / query_blocks, i % query_blocks * QUERY_BLOCK);
    }
    return NULL;
}

const struct kernel cpu_attention = {create, needs_nothing, run, free};
