/* OP_GROUP_NORM: moments of each chunk of positions, then of each set with everything folded into
 * z = a·x + b per channel, then one pass that reads x, writes SiLU(z) and resamples on the way.
 *
 * A set is what shares statistics (a sample, a slice of it, the batch). Chunks follow from one
 * set's shape; moments are merged in their order, those of a chunk as lanes of a warp. */
#include "kernels/cuda/device.cuh"

static constexpr int64_t chunk_values = 1 << 16; /* of a block */
static constexpr int64_t chunk_multiple = 32;    /* positions */
static constexpr int64_t most_blocks = 4096;     /* of a set, to go through a map */

struct group_norm_state {
    struct group_norm attributes;
    int sources, groups, vector; /* vector: channels at once */
    bool scale_shift;
    enum dtype dtype;
    int64_t c, channels[GROUP_NORM_SOURCES], sets, sets_per_sample, positions, chunk, chunks;
    int64_t scale_shift_stride; /* 0: the same for all samples */
    struct shape in, out;
    size_t coefficients; /* in the workspace, after the moments */
    const float *affine; /* weight (c), bias (c) */
};

/* Count, mean and Σ(x − mean)² of values. */
struct moments {
    double count, mean, square;
};

/* Where channels of the concatenation lie. */
struct sources {
    const void *data[GROUP_NORM_SOURCES];
    int c[GROUP_NORM_SOURCES];
};

/* V channels from `channel` on at a position counted over all sets. */
template <typename T, int V>
static __device__ __forceinline__ pack_of<T, V> fetch(const struct sources &s, int64_t position,
                                                      int channel)
{
    bool second = channel >= s.c[0];
    const T *data = static_cast<const T *>(second ? s.data[1] : s.data[0]);
    int c = second ? s.c[1] : s.c[0], at = second ? channel - s.c[0] : channel;
    return *reinterpret_cast<const pack_of<T, V> *>(data + position * c + at);
}

static __device__ double over_lanes(double x)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        x += __shfl_xor_sync(all_lanes, x, step);
    return x;
}

/* The moments of a group from `entries` partial ones, by a whole warp. Each entry has `count(i)`
 * values. Distances are taken from the first entry's mean, so nothing cancels. */
template <typename Entry> static __device__ struct moments merge(int entries, Entry entry)
{
    int lane = threadIdx.x % WARP;
    double origin = entry(0).mean, count = 0, sum = 0;
    for (int i = lane; i < entries; i += WARP) {
        struct moments m = entry(i);
        count += m.count;
        sum += m.count * (m.mean - origin);
    }
    count = over_lanes(count);
    double distance = over_lanes(sum) / count, square = 0;
    for (int i = lane; i < entries; i += WARP) {
        struct moments m = entry(i);
        double d = m.mean - origin - distance;
        square += m.square + m.count * d * d;
    }
    return {count, origin + distance, over_lanes(square)};
}

/* What the rows of a block saw of V channels: their number, sums from a value among them. */
struct column {
    float shift, sum, square;
    int count;
};

/* The moments of all groups in chunk blockIdx.x of set blockIdx.y. `lanes` vectors lie side by
 * side, THREADS / lanes positions one below the other; with more vectors than lanes they are taken
 * in turns. Shared memory: a column for every channel and row. */
template <typename T, int V>
static __global__ void __launch_bounds__(THREADS)
    measure(struct sources s, int c, int groups, int64_t positions, int64_t chunk, int lanes,
            struct moments *moments)
{
    extern __shared__ struct column columns[];
    int rows = THREADS / lanes, row = threadIdx.x / lanes, lane = threadIdx.x % lanes;
    int64_t start = blockIdx.x * chunk, end = min(start + chunk, positions);
    int64_t base = blockIdx.y * positions;
    for (int v = lane; v * V < c && row < rows; v += lanes) {
        struct column own[V] = {};
        for (int64_t p = start + row; p < end; p += rows) {
            pack_of<T, V> x = fetch<T, V>(s, base + p, v * V);
#pragma unroll
            for (int j = 0; j < V; j++) {
                float value = to_f32(x.value[j]);
                if (!own[j].count)
                    own[j].shift = value;
                float d = value - own[j].shift;
                own[j].sum += d;
                own[j].square = fmaf(d, d, own[j].square);
                own[j].count++;
            }
        }
        for (int j = 0; j < V; j++)
            columns[row * c + v * V + j] = own[j];
    }
    __syncthreads();
    int width = c / groups, seen = (int)min((int64_t)rows, end - start);
    for (int group = threadIdx.x / WARP; group < groups; group += THREADS / WARP) {
        struct moments all = merge(
            seen * width, [&](int i) -> struct moments {
                struct column m = columns[i / width * c + group * width + i % width];
                double n = m.count, mean = (double)m.sum / n;
                return {n, (double)m.shift + mean, (double)m.square - (double)m.sum * mean};
            });
        if (threadIdx.x % WARP == 0)
            moments[(blockIdx.y * (int64_t)gridDim.x + blockIdx.x) * groups + group] = all;
    }
}

/* What folds statistics, weight, bias, scale and shift into a and b. */
struct fold {
    const float *affine, *scale_shift; /* (2, c); (n or 1, 2c) or NULL */
    int64_t scale_shift_stride, sets_per_sample;
    float epsilon;
};

/* A warp a group of set blockIdx.y: from the moments (set, chunk, group) to a and b (set, 2, c). b
 * is made for the rounded a, so that values at the mean come out as the bias. */
static __global__ void fold_kernel(struct fold f, const struct moments *moments, int chunks,
                                   int groups, int c, float *coefficients)
{
    int group = (blockIdx.x * blockDim.x + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
    int64_t set = blockIdx.y;
    if (group >= groups)
        return;
    const struct moments *first = moments + set * chunks * groups + group;
    struct moments all = merge(chunks, [&](int i) { return first[(int64_t)i * groups]; });
    double deviation = sqrt(fmax(all.square / all.count, 0.0) + (double)f.epsilon);
    float *a = coefficients + set * 2 * c, *b = a + c;
    int width = c / groups;
    for (int channel = group * width + lane; channel < (group + 1) * width; channel += WARP) {
        double scale = (double)f.affine[channel] / deviation, shift = f.affine[c + channel];
        if (f.scale_shift) {
            const float *vector = f.scale_shift + set / f.sets_per_sample * f.scale_shift_stride;
            double factor = 1.0 + (double)vector[channel];
            scale *= factor;
            shift = shift * factor + (double)vector[c + channel];
        }
        a[channel] = (float)scale;
        b[channel] = (float)(shift - all.mean * (double)a[channel]);
    }
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

static int64_t rounded_up(int64_t count, int64_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

static void set_sizes(group_norm_state *s, const struct operation *o)
{
    const struct group_norm *g = &o->group_norm;
    struct shape in = o->input[0].shape;
    s->attributes = *g;
    s->sources = g->sources;
    s->groups = g->groups;
    s->dtype = o->output.dtype;
    s->c = o->output.shape.c;
    s->in = in;
    s->out = o->output.shape;
    s->vector = s->dtype == DTYPE_BF16 ? 8 : 4; /* 16 bytes */
    for (int i = 0; i < s->sources; i++) {
        s->channels[i] = o->input[i].shape.c;
        if (s->channels[i] % s->vector)
            s->vector = 1;
    }
    s->sets_per_sample = g->per_slice ? in.d : 1;
    s->sets = g->per_batch ? 1 : in.n * s->sets_per_sample;
    s->positions = in.n * in.d / s->sets * in.h * in.w;
    s->chunk = rounded_up((chunk_values + s->c - 1) / s->c, chunk_multiple);
    s->chunks = (s->positions + s->chunk - 1) / s->chunk;
    s->scale_shift = g->scale_shift;
    if (s->scale_shift && o->input[s->sources].shape.n > 1)
        s->scale_shift_stride = 2 * s->c;
}

/* Vectors side by side in a block. */
static int lanes_of(const group_norm_state *s)
{
    int64_t vectors = s->c / s->vector;
    return vectors < THREADS ? (int)vectors : (int)THREADS;
}

static size_t shared_bytes(const group_norm_state *s)
{
    return (size_t)(THREADS / lanes_of(s)) * (size_t)s->c * sizeof(struct column);
}

static const char *check_sizes(const group_norm_state *s)
{
    enum { SETS = 65535, SHARED = 48 << 10 };
    if (s->sets > SETS)
        return "there are more than 65535 samples and slices";
    if (s->positions > INT32_MAX || s->chunks > INT32_MAX)
        return "the map is too large";
    return shared_bytes(s) > SHARED ? "there are more than 3072 channels" : nullptr;
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
    group_norm_state sizes = {};
    set_sizes(&sizes, o);
    if (!why)
        why = check_sizes(&sizes);
    group_norm_state *s = why ? nullptr : new_state<group_norm_state>();
    if (!s)
        return why ? why : "out of memory";
    *s = sizes;
    *needs = {};
    *in_place = s->sources == 1 && o->group_norm.resampling == RESAMPLE_NONE ? 0 : -1;
    cuda_reserve(&needs->prepared, 2 * s->c, sizeof(float));
    needs->scratch = (size_t)s->c * sizeof(float);
    cuda_reserve(&needs->workspace, s->sets * s->chunks * s->groups, sizeof(struct moments));
    s->coefficients = cuda_reserve(&needs->workspace, s->sets * 2 * s->c, sizeof(float));
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    group_norm_state *s = static_cast<group_norm_state *>(state);
    float *affine = static_cast<float *>(prepared);
    s->affine = affine;
    const char *why = cuda_pack_vector(&o->weight[0], s->c, DTYPE_F32, nullptr, affine, scratch);
    return why ? why
               : cuda_pack_vector(&o->weight[1], s->c, DTYPE_F32, nullptr, affine + s->c, scratch);
}

template <typename T, int V>
static void launch_apply(const group_norm_state *s, const struct application &k)
{
    int rows = THREADS / k.lanes;
    bool down = s->attributes.resampling == RESAMPLE_DOWN;
    int64_t blocks = ((down ? k.out_positions : k.positions) + rows - 1) / rows;
    dim3 grid((unsigned)(blocks < most_blocks ? blocks : most_blocks), (unsigned)s->sets);
    cudaStream_t stream = cuda_device()->stream;
    if (s->attributes.resampling == RESAMPLE_NONE)
        apply<T, V, RESAMPLE_NONE><<<grid, THREADS, 0, stream>>>(k);
    else if (down)
        apply<T, V, RESAMPLE_DOWN><<<grid, THREADS, 0, stream>>>(k);
    else
        apply<T, V, RESAMPLE_UP><<<grid, THREADS, 0, stream>>>(k);
}

template <typename T, int V>
static void launch(const group_norm_state *s, const struct application &k, const struct fold &f,
                   struct moments *moments, float *coefficients)
{
    cudaStream_t stream = cuda_device()->stream;
    int c = (int)s->c, groups = s->groups, per_block = THREADS / WARP;
    measure<T, V>
        <<<dim3((unsigned)s->chunks, (unsigned)s->sets), THREADS, shared_bytes(s), stream>>>(
            k.sources, c, groups, s->positions, s->chunk, k.lanes, moments);
    fold_kernel<<<dim3((unsigned)((groups + per_block - 1) / per_block), (unsigned)s->sets),
                  THREADS, 0, stream>>>(f, moments, (int)s->chunks, groups, c, coefficients);
    launch_apply<T, V>(s, k);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const group_norm_state *s = static_cast<group_norm_state *>(state);
    char *memory = static_cast<char *>(workspace);
    struct moments *moments = reinterpret_cast<struct moments *>(memory);
    float *coefficients = reinterpret_cast<float *>(memory + s->coefficients);
    struct application k = {};
    for (int i = 0; i < s->sources; i++) {
        k.sources.data[i] = inputs[i];
        k.sources.c[i] = (int)s->channels[i];
    }
    k.coefficients = coefficients;
    k.output = output;
    k.c = (int)s->c;
    k.lanes = lanes_of(s);
    k.positions = s->positions;
    k.out_positions = shape_count(s->out) / s->c / s->sets;
    k.silu = s->attributes.silu;
    k.depth = s->attributes.resample_depth ? 2 : 1;
    struct shape small = s->attributes.resampling == RESAMPLE_DOWN ? s->out : s->in;
    k.d = (int)small.d, k.h = (int)small.h, k.w = (int)small.w;
    const void *scale_shift = s->scale_shift ? inputs[s->sources] : nullptr;
    struct fold f = {s->affine, static_cast<const float *>(scale_shift), s->scale_shift_stride,
                     s->sets_per_sample, s->attributes.epsilon};
    if (s->dtype == DTYPE_BF16)
        (s->vector > 1 ? launch<bf16, 8> : launch<bf16, 1>)(s, k, f, moments, coefficients);
    else
        (s->vector > 1 ? launch<float, 4> : launch<float, 1>)(s, k, f, moments, coefficients);
    return cuda_launched();
}

const struct kernel cuda_group_norm = {create, prepare, run, free};
