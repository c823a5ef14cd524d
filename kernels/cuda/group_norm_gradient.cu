/* OP_GROUP_NORM_SUMS and OP_GROUP_NORM_DATA. With z = a·x + b, dz the gradient with respect to z,
 * N values in a group, x' = (x − mean)/deviation:
 *   dx = a·dz − Σ a·dz / N − x'·Σ a·dz·x' / N, sums over the group.
 * The first operation measures the norm again and takes the sums of each channel, chunk by chunk in
 * their order; the second is one pass over the map. */
#include "kernels/cuda/group_norm.cuh"

/* The parts of the sums of a set, c floats each. */
enum { SUM, PRODUCT, FACTOR, OFFSET, MEAN, SLOPE, CONSTANT };

struct sums_state {
    struct norm_sets sets;
    float epsilon;
    bool silu;
    size_t partial, total; /* in the workspace, after the moments */
    const float *affine;   /* weight (c), bias (c) */
};

/* A warp a group of set blockIdx.y: a, b and mean of its channels. */
static __global__ void fold_parts(struct fold f, const struct moments *moments, int chunks,
                                  int groups, int c, float *sums)
{
    int group = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    int64_t set = blockIdx.y;
    if (group >= groups)
        return;
    struct moments all = merge_chunks(moments, chunks, groups, group);
    double deviation = deviation_of(all, f.epsilon);
    float *parts = sums + set * GROUP_NORM_SUMS * c;
    int width = c / groups;
    for (int channel = group * width + lane; channel < (group + 1) * width; channel += WARP) {
        fold_channel(f, set, c, channel, all.mean, deviation, &parts[FACTOR * c + channel],
                     &parts[OFFSET * c + channel]);
        parts[MEAN * c + channel] = (float)all.mean;
    }
}

/* What a pass over chunks reads. */
struct pass {
    struct sources sources;
    const void *dy;
    const float *sums;
    int c, lanes;
    int64_t positions, chunk;
    bool silu;
};

/* Σ dz and Σ dz·(x − mean) of each channel in chunk blockIdx.x of set blockIdx.y, to partial
 * (set, chunk, 2, c). Threads lie as in `measure`; shared memory: two floats a channel and row. */
template <typename T, int V>
static __global__ void __launch_bounds__(THREADS) sum_chunk(struct pass k, double *partial)
{
    extern __shared__ float rows_of[];
    int rows = THREADS / k.lanes, row = threadIdx.x / k.lanes, lane = threadIdx.x % k.lanes;
    int64_t start = blockIdx.x * k.chunk, end = min(start + k.chunk, k.positions);
    int64_t base = blockIdx.y * k.positions;
    const float *parts = k.sums + (int64_t)blockIdx.y * GROUP_NORM_SUMS * k.c;
    const T *dy = static_cast<const T *>(k.dy);
    for (int v = lane; v * V < k.c && row < rows; v += k.lanes) {
        float sum[V] = {}, product[V] = {};
        for (int64_t p = start + row; p < end; p += rows) {
            pack_of<T, V> x = fetch<T, V>(k.sources, base + p, v * V);
            pack_of<T, V> g =
                *reinterpret_cast<const pack_of<T, V> *>(dy + (base + p) * k.c + v * V);
#pragma unroll
            for (int j = 0; j < V; j++) {
                int c = v * V + j;
                float value = to_f32(x.value[j]), dz = to_f32(g.value[j]);
                if (k.silu)
                    dz *= silu_slope(fmaf(parts[FACTOR * k.c + c], value, parts[OFFSET * k.c + c]));
                sum[j] += dz;
                product[j] = fmaf(dz, value - parts[MEAN * k.c + c], product[j]);
            }
        }
        for (int j = 0; j < V; j++) {
            rows_of[row * 2 * k.c + v * V + j] = sum[j];
            rows_of[(row * 2 + 1) * k.c + v * V + j] = product[j];
        }
    }
    __syncthreads();
    double *to = partial + ((int64_t)blockIdx.y * gridDim.x + blockIdx.x) * 2 * k.c;
    for (int i = threadIdx.x; i < 2 * k.c; i += THREADS) {
        double all = 0.0;
        for (int r = 0; r < rows; r++)
            all += (double)rows_of[r * 2 * k.c + i];
        to[i] = all;
    }
}

/* A warp each: the sums over the chunks (set, chunk, 2, c) to total (set, 2, c). */
static __global__ void sum_chunks(const double *partial, int64_t chunks, int64_t columns,
                                  double *total)
{
    int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP, set = blockIdx.y;
    if (i >= columns)
        return;
    double sum = 0.0;
    for (int64_t chunk = threadIdx.x % WARP; chunk < chunks; chunk += WARP)
        sum += partial[(set * chunks + chunk) * columns + i];
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0)
        total[set * columns + i] = sum;
}

/* A warp a group of set blockIdx.y: sums of its channels, and what they make of the gradient of x.
 * `off` is what the mean loses when it is rounded. */
static __global__ void finish(float epsilon, const struct moments *moments, int chunks, int groups,
                              int c, const double *total, float *sums)
{
    int group = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    int64_t set = blockIdx.y;
    if (group >= groups)
        return;
    struct moments all = merge_chunks(moments, chunks, groups, group);
    double deviation = deviation_of(all, epsilon), off = (double)(float)all.mean - all.mean;
    double gradient = 0.0, product_gradient = 0.0;
    float *parts = sums + set * GROUP_NORM_SUMS * c;
    const double *sum = total + set * 2 * c, *product = sum + c;
    int width = c / groups, end = (group + 1) * width;
    for (int channel = group * width + lane; channel < end; channel += WARP) {
        double along = (product[channel] + off * sum[channel]) / deviation;
        double a = (double)parts[FACTOR * c + channel];
        parts[SUM * c + channel] = (float)sum[channel];
        parts[PRODUCT * c + channel] = (float)along;
        gradient += a * sum[channel] / all.count;
        product_gradient += a * along / all.count;
    }
    gradient = warp_sum(gradient);
    product_gradient = warp_sum(product_gradient);
    for (int channel = group * width + lane; channel < end; channel += WARP) {
        parts[SLOPE * c + channel] = (float)(-product_gradient / deviation);
        parts[CONSTANT * c + channel] = (float)(-gradient - off * product_gradient / deviation);
    }
}

static const char *sums_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    const char *why = check_group_norm_sums(o);
    if (why)
        return why;
    struct norm_sets sets = norm_sets_of(o);
    why = norm_check(&sets);
    sums_state *s = why ? nullptr : new_state<sums_state>();
    if (!s)
        return why ? why : "out of memory";
    int64_t chunks = sets.sets * sets.chunks;
    s->sets = sets;
    s->epsilon = o->group_norm.epsilon;
    s->silu = o->group_norm.silu;
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->prepared, 2 * sets.c, sizeof(float));
    needs->scratch = (size_t)sets.c * sizeof(float);
    cuda_reserve(&needs->workspace, chunks * sets.groups, sizeof(struct moments));
    s->partial = cuda_reserve(&needs->workspace, chunks * 2 * sets.c, sizeof(double));
    s->total = cuda_reserve(&needs->workspace, sets.sets * 2 * sets.c, sizeof(double));
    *state = s;
    return nullptr;
}

static const char *sums_prepare(void *state, const struct operation *o, void *prepared,
                                void *scratch)
{
    sums_state *s = static_cast<sums_state *>(state);
    float *affine = static_cast<float *>(prepared);
    s->affine = affine;
    return cuda_pack_norm(o, s->sets.c, affine, scratch);
}

static void launch_chunks(const struct norm_sets *sets, const struct pass &k, double *partial)
{
    dim3 grid((unsigned)sets->chunks, (unsigned)sets->sets);
    size_t shared = (size_t)(THREADS / k.lanes) * 2 * (size_t)sets->c * sizeof(float);
    cudaStream_t stream = cuda_device()->stream;
    if (sets->dtype == DTYPE_BF16 && sets->vector > 1)
        sum_chunk<bf16, 8><<<grid, THREADS, shared, stream>>>(k, partial);
    else if (sets->dtype == DTYPE_BF16)
        sum_chunk<bf16, 1><<<grid, THREADS, shared, stream>>>(k, partial);
    else if (sets->vector > 1)
        sum_chunk<float, 4><<<grid, THREADS, shared, stream>>>(k, partial);
    else
        sum_chunk<float, 1><<<grid, THREADS, shared, stream>>>(k, partial);
}

static const char *sums_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const sums_state *s = static_cast<sums_state *>(state);
    const struct norm_sets *sets = &s->sets;
    struct moments *moments = static_cast<struct moments *>(workspace);
    char *memory = static_cast<char *>(workspace);
    double *partial = reinterpret_cast<double *>(memory + s->partial);
    double *total = reinterpret_cast<double *>(memory + s->total);
    float *sums = static_cast<float *>(output);
    cudaStream_t stream = cuda_device()->stream;
    int c = (int)sets->c, groups = sets->groups, chunks = (int)sets->chunks;
    int warps = THREADS / WARP;
    dim3 by_group((unsigned)((groups + warps - 1) / warps), (unsigned)sets->sets);
    dim3 by_column((unsigned)((2 * c + warps - 1) / warps), (unsigned)sets->sets);
    struct pass k = {norm_sources(sets, inputs),
                     inputs[sets->sources + sets->scale_shift],
                     sums,
                     c,
                     norm_lanes(sets),
                     sets->positions,
                     sets->chunk,
                     s->silu};
    norm_measure(sets, k.sources, moments);
    fold_parts<<<by_group, THREADS, 0, stream>>>(norm_fold(sets, s->affine, inputs, s->epsilon),
                                                 moments, chunks, groups, c, sums);
    launch_chunks(sets, k, partial);
    sum_chunks<<<by_column, THREADS, 0, stream>>>(partial, chunks, 2 * c, total);
    finish<<<by_group, THREADS, 0, stream>>>(s->epsilon, moments, chunks, groups, c, total, sums);
    return cuda_launched();
}

const struct kernel cuda_group_norm_sums = {sums_create, sums_prepare, sums_run, free};

struct data_state {
    enum dtype dtype;
    bool silu, added, whole;     /* whole: vectors of 16 bytes lie in all maps */
    int64_t channels, c, offset; /* of the source; of dy; of the source in dy */
    int64_t positions, set;      /* in all; of a set */
};

template <typename T, int V>
static __global__ void __launch_bounds__(THREADS)
    apply(struct data_state s, const T *x, const T *dy, const float *sums, const T *added, T *dx,
          int64_t count)
{
    int64_t vectors = s.channels / V;
    EACH(i, count)
    {
        int64_t channel = i % vectors * V, position = i / vectors;
        const float *parts = sums + position / s.set * GROUP_NORM_SUMS * s.c + s.offset + channel;
        pack_of<T, V> value = *reinterpret_cast<const pack_of<T, V> *>(x + i * V);
        pack_of<T, V> g =
            *reinterpret_cast<const pack_of<T, V> *>(dy + position * s.c + s.offset + channel);
        pack_of<T, V> more = {};
        if (s.added)
            more = *reinterpret_cast<const pack_of<T, V> *>(added + i * V);
#pragma unroll
        for (int j = 0; j < V; j++) {
            float a = parts[FACTOR * s.c + j], dz = to_f32(g.value[j]);
            float from = to_f32(value.value[j]);
            if (s.silu)
                dz *= silu_slope(fmaf(a, from, parts[OFFSET * s.c + j]));
            float own = fmaf(parts[SLOPE * s.c + j], from - parts[MEAN * s.c + j],
                             parts[CONSTANT * s.c + j]);
            own = fmaf(a, dz, own);
            g.value[j] = from_f32<T>(s.added ? own + to_f32(more.value[j]) : own);
        }
        *reinterpret_cast<pack_of<T, V> *>(dx + i * V) = g;
    }
}

static const char *data_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    const struct group_norm *g = &o->group_norm;
    const char *why = check_group_norm_data(o);
    data_state *s = why ? nullptr : new_state<data_state>();
    if (!s)
        return why ? why : "out of memory";
    struct shape x = o->input[0].shape;
    int64_t vector = o->input[0].dtype == DTYPE_BF16 ? 8 : 4;
    s->dtype = o->input[0].dtype;
    s->silu = g->silu;
    s->added = o->inputs == 4;
    s->channels = x.c;
    s->c = o->input[1].shape.c;
    s->offset = g->source ? s->c - x.c : 0;
    s->whole = s->channels % vector == 0 && s->c % vector == 0 && s->offset % vector == 0;
    s->positions = x.n * x.d * x.h * x.w;
    s->set = s->positions / o->input[2].shape.n;
    *needs = {};
    *in_place = s->added ? 3 : g->sources == 1 ? 1 : 0;
    *state = s;
    return nullptr;
}

template <typename T, int V>
static void launch_apply(const data_state *s, const void *const *inputs, void *output)
{
    int64_t count = s->positions * s->channels / V;
    apply<T, V><<<blocks_for(count), THREADS, 0, cuda_device()->stream>>>(
        *s, static_cast<const T *>(inputs[0]), static_cast<const T *>(inputs[1]),
        static_cast<const float *>(inputs[2]),
        static_cast<const T *>(s->added ? inputs[3] : nullptr), static_cast<T *>(output), count);
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *)
{
    const data_state *s = static_cast<data_state *>(state);
    if (s->dtype == DTYPE_BF16)
        (s->whole ? launch_apply<bf16, 8> : launch_apply<bf16, 1>)(s, inputs, output);
    else
        (s->whole ? launch_apply<float, 4> : launch_apply<float, 1>)(s, inputs, output);
    return cuda_launched();
}

const struct kernel cuda_group_norm_data = {data_create, needs_nothing, data_run, free};
