/* OP_GROUP_NORM: moments of each chunk of positions, then of each set with everything folded into
 * z = a·x + b per channel, then one pass that reads x, writes SiLU(z) and resamples on the way. */
#include "kernels/cuda/group_norm.cuh"

static constexpr int64_t most_blocks = 4096; /* of a set, to go through a map */

struct group_norm_state {
    struct group_norm attributes;
    struct norm_sets sets;
    struct shape in, out;
    size_t coefficients; /* in the workspace, after the moments */
    const float *affine; /* weight (c), bias (c) */
};

/* A warp a group of set blockIdx.y: from the moments (set, chunk, group) to a and b (set, 2, c). */
static __global__ void fold_kernel(struct fold f, const struct moments *moments, int chunks,
                                   int groups, int c, float *coefficients)
{
    int group = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    int64_t set = blockIdx.y;
    if (group >= groups)
        return;
    struct moments all = merge_chunks(moments, chunks, groups, group);
    double deviation = deviation_of(all, f.epsilon);
    float *a = coefficients + set * 2 * c, *b = a + c;
    int width = c / groups;
    for (int channel = group * width + lane; channel < (group + 1) * width; channel += WARP)
        fold_channel(f, set, c, channel, all.mean, deviation, &a[channel], &b[channel]);
}

/* The pass over the map. `small` is the smaller of input and output, (d, h, w) of one set. */
struct application {
    struct sources sources;
    const float *coefficients;
    void *output;
    int c, lanes;
    int64_t positions, out_positions; /* of a set */
    int d, h, w, depth; /* of the map that is walked through: the input, or the halved output */
    bool silu;
};

/* A vector at a position of the set: a·x + b, and SiLU. */
template <typename T, int V>
static __device__ __forceinline__ void normalized(const struct application &k, int64_t position,
                                                  int channel, const float *a, const float *b,
                                                  float *y)
{
    pack_of<T, V> x = fetch<T, V>(k.sources, position, channel);
#pragma unroll
    for (int j = 0; j < V; j++)
        y[j] = fmaf(a[j], to_f32(x.value[j]), b[j]);
    for (int j = 0; k.silu && j < V; j++)
        y[j] = sizeof(T) == sizeof(float) ? silu(y[j]) : silu_roughly(y[j]);
}

template <typename T, int V>
static __device__ __forceinline__ void put(const struct application &k, int64_t position,
                                           int channel, const float *y)
{
    pack_of<T, V> packed;
#pragma unroll
    for (int j = 0; j < V; j++)
        packed.value[j] = from_f32<T>(y[j]);
    T *output = static_cast<T *>(k.output);
    *reinterpret_cast<pack_of<T, V> *>(output + position * k.c + channel) = packed;
}

/* Position k (of 4, or 8 with depth) of the large map that position p of the small map covers. */
static __device__ __forceinline__ int64_t covered(const struct application &k, int p, int corner)
{
    int w = p % k.w, h = p / k.w % k.h, d = p / k.w / k.h;
    int64_t z = (int64_t)d * k.depth + corner / 4, y = 2 * h + corner / 2 % 2;
    return (z * 2 * k.h + y) * 2 * k.w + 2 * w + corner % 2;
}

/* Set blockIdx.y, positions of the smaller map spread over blockIdx.x. */
template <typename T, int V, enum resampling RESAMPLING>
static __global__ void __launch_bounds__(THREADS) apply(struct application k)
{
    int rows = THREADS / k.lanes, row = threadIdx.x / k.lanes, lane = threadIdx.x % k.lanes;
    int64_t small = RESAMPLING == RESAMPLE_DOWN ? k.out_positions : k.positions;
    int64_t in = blockIdx.y * k.positions, out = blockIdx.y * k.out_positions;
    const float *coefficients = k.coefficients + (int64_t)blockIdx.y * 2 * k.c;
    int corners = 4 * k.depth;
    for (int channel = lane * V; channel < k.c && row < rows; channel += k.lanes * V) {
        float a[V], b[V], y[V];
#pragma unroll
        for (int j = 0; j < V; j++) {
            a[j] = coefficients[channel + j];
            b[j] = coefficients[k.c + channel + j];
        }
        for (int64_t p = (int64_t)blockIdx.x * rows + row; p < small;
             p += (int64_t)gridDim.x * rows) {
            if (RESAMPLING == RESAMPLE_DOWN) {
                float sum[V] = {};
                for (int corner = 0; corner < corners; corner++) {
                    normalized<T, V>(k, in + covered(k, (int)p, corner), channel, a, b, y);
                    for (int j = 0; j < V; j++)
                        sum[j] += y[j];
                }
                for (int j = 0; j < V; j++)
                    y[j] = sum[j] / (float)corners;
                put<T, V>(k, out + p, channel, y);
                continue;
            }
            normalized<T, V>(k, in + p, channel, a, b, y);
            if (RESAMPLING == RESAMPLE_NONE)
                put<T, V>(k, out + p, channel, y);
            else
                for (int corner = 0; corner < corners; corner++)
                    put<T, V>(k, out + covered(k, (int)p, corner), channel, y);
        }
    }
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_group_norm(o);
    if (why)
        return why;
    struct tensor all = o->input[0];
    all.shape.c = o->output.shape.c;
    if (o->group_norm.resampling != RESAMPLE_NONE)
        why = check_resampling(&all, &o->output, o->group_norm.resampling,
                               o->group_norm.resample_depth);
    struct norm_sets sets = norm_sets_of(o);
    if (!why)
        why = norm_check(&sets);
    group_norm_state *s = why ? nullptr : new_state<group_norm_state>();
    if (!s)
        return why ? why : "out of memory";
    s->attributes = o->group_norm;
    s->sets = sets;
    s->in = o->input[0].shape;
    s->out = o->output.shape;
    *needs = {};
    *in_place = sets.sources == 1 && o->group_norm.resampling == RESAMPLE_NONE ? 0 : -1;
    cuda_reserve(&needs->prepared, 2 * sets.c, sizeof(float));
    needs->scratch = (size_t)sets.c * sizeof(float);
    cuda_reserve(&needs->workspace, sets.sets * sets.chunks * sets.groups, sizeof(struct moments));
    s->coefficients = cuda_reserve(&needs->workspace, sets.sets * 2 * sets.c, sizeof(float));
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    group_norm_state *s = static_cast<group_norm_state *>(state);
    float *affine = static_cast<float *>(prepared);
    s->affine = affine;
    return cuda_pack_norm(o, s->sets.c, affine, scratch);
}

template <typename T, int V>
static void launch_apply(const group_norm_state *s, const struct application &k)
{
    int rows = THREADS / k.lanes;
    bool down = s->attributes.resampling == RESAMPLE_DOWN;
    int64_t blocks = ((down ? k.out_positions : k.positions) + rows - 1) / rows;
    dim3 grid((unsigned)(blocks < most_blocks ? blocks : most_blocks), (unsigned)s->sets.sets);
    cudaStream_t stream = cuda_device()->stream;
    if (s->attributes.resampling == RESAMPLE_NONE)
        apply<T, V, RESAMPLE_NONE><<<grid, THREADS, 0, stream>>>(k);
    else if (down)
        apply<T, V, RESAMPLE_DOWN><<<grid, THREADS, 0, stream>>>(k);
    else
        apply<T, V, RESAMPLE_UP><<<grid, THREADS, 0, stream>>>(k);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const group_norm_state *s = static_cast<group_norm_state *>(state);
    const struct norm_sets *sets = &s->sets;
    struct moments *moments = static_cast<struct moments *>(workspace);
    char *rest = static_cast<char *>(workspace) + s->coefficients;
    float *coefficients = reinterpret_cast<float *>(rest);
    struct application k = {};
    k.sources = norm_sources(sets, inputs);
    k.coefficients = coefficients;
    k.output = output;
    k.c = (int)sets->c;
    k.lanes = norm_lanes(sets);
    k.positions = sets->positions;
    k.out_positions = shape_count(s->out) / sets->c / sets->sets;
    k.silu = s->attributes.silu;
    k.depth = s->attributes.resample_depth ? 2 : 1;
    struct shape small = s->attributes.resampling == RESAMPLE_DOWN ? s->out : s->in;
    k.d = (int)small.d, k.h = (int)small.h, k.w = (int)small.w;
    norm_measure(sets, k.sources, moments);
    int groups = sets->groups, per_block = THREADS / WARP;
    dim3 grid((unsigned)((groups + per_block - 1) / per_block), (unsigned)sets->sets);
    fold_kernel<<<grid, THREADS, 0, cuda_device()->stream>>>(
        norm_fold(sets, s->affine, inputs, s->attributes.epsilon), moments, (int)sets->chunks,
        groups, k.c, coefficients);
    if (sets->dtype == DTYPE_BF16)
        (sets->vector > 1 ? launch_apply<bf16, 8> : launch_apply<bf16, 1>)(s, k);
    else
        (sets->vector > 1 ? launch_apply<float, 4> : launch_apply<float, 1>)(s, k);
    return cuda_launched();
}

const struct kernel cuda_group_norm = {create, prepare, run, free};
