/* What OP_GROUP_NORM and its gradient share: the sets of values that are normalized together, their
 * moments, and what these make of a channel.
 *
 * A set is what shares statistics (a sample, a slice of it, the batch). Chunks follow from one
 * set's shape; moments are merged in their order, those of a chunk as lanes of a warp. */
#ifndef OCTPIPE_KERNELS_CUDA_GROUP_NORM_CUH
#define OCTPIPE_KERNELS_CUDA_GROUP_NORM_CUH

#include "kernels/cuda/sum.cuh"

static constexpr int64_t chunk_values = 1 << 16; /* of a block */
static constexpr int64_t chunk_multiple = 32;    /* positions */

struct norm_sets {
    int sources, groups, vector; /* vector: channels at once */
    bool scale_shift;
    enum dtype dtype;
    int64_t c, channels[GROUP_NORM_SOURCES], sets, sets_per_sample, positions, chunk, chunks;
    int64_t scale_shift_stride; /* 0: the same for all samples */
};

/* Those of a norm without resampling, whose inputs are the sources and the scale and shift. */
static inline struct norm_sets norm_sets_of(const struct operation *o)
{
    const struct group_norm *g = &o->group_norm;
    struct shape in = o->input[0].shape;
    struct norm_sets s = {};
    s.sources = g->sources;
    s.groups = g->groups;
    s.dtype = o->input[0].dtype;
    s.vector = s.dtype == DTYPE_BF16 ? 8 : 4; /* 16 bytes */
    for (int i = 0; i < s.sources; i++) {
        s.channels[i] = o->input[i].shape.c;
        s.c += s.channels[i];
    }
    for (int i = 0; i < s.sources; i++)
        if (s.channels[i] % s.vector)
            s.vector = 1;
    s.sets_per_sample = g->per_slice ? in.d : 1;
    s.sets = group_norm_set_count(g, in);
    s.positions = in.n * in.d / s.sets * in.h * in.w;
    int64_t rows = (chunk_values + s.c - 1) / s.c;
    s.chunk = (rows + chunk_multiple - 1) / chunk_multiple * chunk_multiple;
    s.chunks = (s.positions + s.chunk - 1) / s.chunk;
    s.scale_shift = g->scale_shift;
    if (s.scale_shift && o->input[s.sources].shape.n > 1)
        s.scale_shift_stride = 2 * s.c;
    return s;
}

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
    count = warp_sum(count);
    double distance = warp_sum(sum) / count, square = 0;
    for (int i = lane; i < entries; i += WARP) {
        struct moments m = entry(i);
        double d = m.mean - origin - distance;
        square += m.square + m.count * d * d;
    }
    return {count, origin + distance, warp_sum(square)};
}

/* The moments of a group of set blockIdx.y, from those of its chunks (set, chunk, group); by a
 * whole warp. */
static __device__ struct moments merge_chunks(const struct moments *moments, int chunks, int groups,
                                              int group)
{
    const struct moments *first = moments + (int64_t)blockIdx.y * chunks * groups + group;
    return merge(chunks, [&](int i) { return first[(int64_t)i * groups]; });
}

/* What the rows of a block saw of V channels: their number, sums from a value among them. */
struct column {
    float shift, sum, square;
    int count;
};

/* Vectors side by side in a block. */
static inline int norm_lanes(const struct norm_sets *s)
{
    int64_t vectors = s->c / s->vector;
    return vectors < THREADS ? (int)vectors : (int)THREADS;
}

static inline size_t norm_shared_bytes(const struct norm_sets *s)
{
    return (size_t)(THREADS / norm_lanes(s)) * (size_t)s->c * sizeof(struct column);
}

static inline const char *norm_check(const struct norm_sets *s)
{
    enum { SETS = 65535, SHARED = 48 << 10 };
    if (s->sets > SETS)
        return "there are more than 65535 samples and slices";
    if (s->positions > INT32_MAX || s->chunks > INT32_MAX)
        return "the map is too large";
    return norm_shared_bytes(s) > SHARED ? "there are more than 3072 channels" : nullptr;
}

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

/* A channel's a and b. b is made for the rounded a, so that values at the mean come out as the
 * bias. */
static __device__ __forceinline__ void fold_channel(const struct fold &f, int64_t set, int c,
                                                    int channel, double mean, double deviation,
                                                    float *a, float *b)
{
    double scale = (double)f.affine[channel] / deviation, shift = f.affine[c + channel];
    if (f.scale_shift) {
        const float *vector = f.scale_shift + set / f.sets_per_sample * f.scale_shift_stride;
        double factor = 1.0 + (double)vector[channel];
        scale *= factor;
        shift = shift * factor + (double)vector[c + channel];
    }
    *a = (float)scale;
    *b = (float)(shift - mean * (double)*a);
}

static __device__ __forceinline__ double deviation_of(const struct moments &m, float epsilon)
{
    return sqrt(fmax(m.square / m.count, 0.0) + (double)epsilon);
}

/* The fold of a set's norm: what lies in `affine` and among the inputs. */
static inline struct fold norm_fold(const struct norm_sets *s, const float *affine,
                                    const void *const *inputs, float epsilon)
{
    const void *vectors = s->scale_shift ? inputs[s->sources] : nullptr;
    return {affine, static_cast<const float *>(vectors), s->scale_shift_stride, s->sets_per_sample,
            epsilon};
}

static inline struct sources norm_sources(const struct norm_sets *s, const void *const *inputs)
{
    struct sources sources = {};
    for (int i = 0; i < s->sources; i++) {
        sources.data[i] = inputs[i];
        sources.c[i] = (int)s->channels[i];
    }
    return sources;
}

/* The moments (set, chunk, group) of all chunks. */
static inline void norm_measure(const struct norm_sets *s, const struct sources &sources,
                                struct moments *moments)
{
    dim3 grid((unsigned)s->chunks, (unsigned)s->sets);
    size_t shared = norm_shared_bytes(s);
    cudaStream_t stream = cuda_device()->stream;
    int c = (int)s->c, lanes = norm_lanes(s);
    if (s->dtype == DTYPE_BF16 && s->vector > 1)
        measure<bf16, 8><<<grid, THREADS, shared, stream>>>(sources, c, s->groups, s->positions,
                                                            s->chunk, lanes, moments);
    else if (s->dtype == DTYPE_BF16)
        measure<bf16, 1><<<grid, THREADS, shared, stream>>>(sources, c, s->groups, s->positions,
                                                            s->chunk, lanes, moments);
    else if (s->vector > 1)
        measure<float, 4><<<grid, THREADS, shared, stream>>>(sources, c, s->groups, s->positions,
                                                             s->chunk, lanes, moments);
    else
        measure<float, 1><<<grid, THREADS, shared, stream>>>(sources, c, s->groups, s->positions,
                                                             s->chunk, lanes, moments);
}

#endif
