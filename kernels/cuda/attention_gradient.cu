/* OP_ATTENTION_DATA without T×T storage. With S = scale·q·kᵀ, P = softmax(S), y = P·v of a head:
 *   dv = Pᵀ·dy,  dS = P∘(dy·vᵀ − share), share = Σ dy·y of a query,  dq = scale·dS·k,
 *   dk = scale·dSᵀ·q.
 * First the level of each query (P = exp(S − level)) and its share; then blocks of queries go
 * through the keys for dq, and blocks of keys through the queries for dk and dv. Products are of
 * f32; a thread makes a square of SIDE×SIDE of a block's 64×64. */
#include "kernels/cuda/attention_blocks.cuh"

struct attention_state {
    int tokens, heads, width, sets;
    float scale;
    enum dtype dtype;
    size_t shares; /* in the workspace, after the levels */
};

/* What all kernels see of the head and set of a block. */
template <typename T> struct head {
    rows<const T> query, key, value, result, gradient;
    rows<T> output; /* dq, dk and dv */
    float *level, *share;
};

struct maps {
    const void *qkv, *y, *dy;
    void *dqkv;
    float *levels, *shares; /* (set, head, token) */
};

template <typename T>
static __device__ struct head<T> head_of(const struct attention_state &s, const struct maps &m) {
    int64_t wide = (int64_t)s.heads * s.width, set = blockIdx.z, number = blockIdx.y;
    int64_t of_y = set * s.tokens * wide + number * s.width;
    int64_t of_qkv = PARTS * (set * s.tokens * wide + number * s.width);
    int64_t of_level = (set * s.heads + number) * s.tokens;
    const T *qkv = static_cast<const T *>(m.qkv) + of_qkv;
    return {{qkv, PARTS *wide, s.tokens, s.width},
            {qkv + s.width, PARTS *wide, s.tokens, s.width},
            {qkv + 2 * s.width, PARTS *wide, s.tokens, s.width},
            {static_cast<const T *>(m.y) + of_y, wide, s.tokens, s.width},
            {static_cast<const T *>(m.dy) + of_y, wide, s.tokens, s.width},
            {static_cast<T *>(m.dqkv) + of_qkv, PARTS *wide, s.tokens, s.width},
            m.levels + of_level,
            m.shares + of_level};
}

/* Level and share of a block of queries. */
template <typename T>
static __global__ void __launch_bounds__(THREADS)
    find_levels(struct attention_state s, struct maps maps)
{
    __shared__ struct desk desk;
    struct head<T> h = head_of<T>(s, maps);
    int query = blockIdx.x * ROWS, own = query + threadIdx.x / QUARTER;
    int part = threadIdx.x % QUARTER;
    float maximum = -CUDART_INF_F, sum = 0.0f, share = 0.0f;
    for (int key = 0; key < s.tokens; key += ROWS) {
        score(h.query, query, h.key, key, s.scale, desk);
        __syncthreads();
        const float *row = desk.weights[threadIdx.x / QUARTER];
        float highest = maximum, added = 0.0f;
        for (int i = part; i < ROWS; i += QUARTER)
            highest = fmaxf(highest, row[i]);
        highest = quarter_max(highest);
        for (int i = part; i < ROWS; i += QUARTER)
            added += expf(row[i] - highest);
        sum = sum * expf(maximum - highest) + quarter_sum(added);
        maximum = highest;
    }
    for (int i = part; own < s.tokens && i < s.width; i += QUARTER)
        share = fmaf(to_f32(h.gradient.data[own * h.gradient.step + i]),
                     to_f32(h.result.data[own * h.result.step + i]), share);
    share = quarter_sum(share);
    if (part == 0 && own < s.tokens) {
        h.level[own] = maximum + logf(sum);
        h.share[own] = share;
    }
}

/* out += weights·values: the weights in this thread's square, a block of `values`' columns. */
template <typename T>
static __device__ void accumulate(const float (&weights)[SIDE][SIDE], rows<const T> values,
                                  int token, int column, struct desk &desk,
                                  float (&out)[SIDE][SIDE])
{
    int top = threadIdx.x / SQUARES * SIDE, first = threadIdx.x % SQUARES * SIDE;
    __syncthreads();
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            desk.weights[top + i][first + j] = weights[i][j];
    load_block(values, token, column, desk.values);
    __syncthreads();
    multiply_weights(desk, out);
}

/* Part 0 (dq), 1 (dk) or 2 (dv) of a block of tokens and columns. */
template <typename T>
static __device__ void store(rows<T> to, int part, int token, int column, float factor,
                             const float (&out)[SIDE][SIDE])
{
    int top = threadIdx.x / SQUARES * SIDE, first = threadIdx.x % SQUARES * SIDE;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            if (token + top + i < to.tokens && column + first + j < to.width)
                to.data[(token + top + i) * to.step + part * to.width + column + first + j] =
                    from_f32<T>(factor * out[i][j]);
}

/* A block of rows, queries or (KEYS) keys, goes through all others: dq, or dk and dv. */
template <typename T, bool KEYS>
static __global__ void __launch_bounds__(THREADS)
    attend(struct attention_state s, struct maps maps, int chunks)
{
    __shared__ struct desk desk;
    struct head<T> h = head_of<T>(s, maps);
    int token = blockIdx.x / chunks * ROWS, column = blockIdx.x % chunks * ROWS;
    int top = threadIdx.x / SQUARES * SIDE, first = threadIdx.x % SQUARES * SIDE;
    float scores[SIDE][SIDE], slopes[SIDE][SIDE], out[SIDE][SIDE] = {}, values[SIDE][SIDE] = {};
    for (int other = 0; other < s.tokens; other += ROWS) {
        multiply_rows(KEYS ? h.key : h.query, token, KEYS ? h.query : h.key, other, desk, scores);
        multiply_rows(KEYS ? h.value : h.gradient, token, KEYS ? h.gradient : h.value, other, desk,
                      slopes);
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                int row = token + top + i, column_token = other + first + j;
                int query = KEYS ? column_token : row;
                bool inside = row < s.tokens && column_token < s.tokens;
                float p = inside ? expf(scores[i][j] * s.scale - h.level[query]) : 0.0f;
                slopes[i][j] = inside ? p * (slopes[i][j] - h.share[query]) : 0.0f;
                scores[i][j] = p;
            }
        accumulate(slopes, KEYS ? h.query : h.key, other, column, desk, out);
        if (KEYS)
            accumulate(scores, h.gradient, other, column, desk, values);
    }
    store(h.output, KEYS ? 1 : 0, token, column, s.scale, out);
    if (KEYS)
        store(h.output, 2, token, column, 1.0f, values);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    enum { GRID = 65535 };
    const char *why = check_attention_data(o);
    if (why)
        return why;
    struct shape in = o->input[0].shape;
    int64_t sets = o->attention.per_slice ? in.n * in.d : in.n;
    int64_t tokens = in.n * in.d / sets * in.h * in.w, width = in.c / PARTS / o->attention.heads;
    if (sets > GRID || o->attention.heads > GRID || tokens > INT32_MAX / 2 || width > INT32_MAX / 2)
        return "the map is too large";
    attention_state *s = new_state<attention_state>();
    if (!s)
        return "out of memory";
    s->tokens = (int)tokens;
    s->heads = o->attention.heads;
    s->width = (int)width;
    s->sets = (int)sets;
    s->scale = o->attention.scale;
    s->dtype = o->input[0].dtype;
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->workspace, sets * s->heads, tokens * (int64_t)sizeof(float));
    s->shares = cuda_reserve(&needs->workspace, sets * s->heads, tokens * (int64_t)sizeof(float));
    *state = s;
    return nullptr;
}

template <typename T> static void launch(const attention_state *s, const struct maps &maps)
{
    unsigned blocks = (unsigned)((s->tokens + ROWS - 1) / ROWS);
    int chunks = (s->width + ROWS - 1) / ROWS;
    dim3 levels(blocks, (unsigned)s->heads, (unsigned)s->sets);
    dim3 grid(blocks * (unsigned)chunks, (unsigned)s->heads, (unsigned)s->sets);
    cudaStream_t stream = cuda_device()->stream;
    find_levels<T><<<levels, THREADS, 0, stream>>>(*s, maps);
    attend<T, false><<<grid, THREADS, 0, stream>>>(*s, maps, chunks);
    attend<T, true><<<grid, THREADS, 0, stream>>>(*s, maps, chunks);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const attention_state *s = static_cast<attention_state *>(state);
    char *shares = static_cast<char *>(workspace) + s->shares;
    struct maps maps = {inputs[0],
                        inputs[1],
                        inputs[2],
                        output,
                        static_cast<float *>(workspace),
                        reinterpret_cast<float *>(shares)};
    (s->dtype == DTYPE_BF16 ? launch<bf16> : launch<float>)(s, maps);
    return cuda_launched();
}

const struct kernel cuda_attention_data = {create, needs_nothing, run, free};
