/* OP_FEATURE_DISTANCE and OP_FEATURE_DISTANCE_DATA, a warp a position. With x' = x/(‖x‖ + e),
 * g = weight·(x' − y'):
 *   distance = mean Σ g·(x' − y')     dx = factor·(g − x·Σ g·x / (‖x‖·(‖x‖ + e)))/(‖x‖ + e),
 * factor = 2·dL/positions. */
#include "kernels/cuda/sum.cuh"

static __constant__ const double least_norm = 1e-10;

struct distance_state {
    int64_t positions, c;
    enum dtype dtype;
    const float *weights; /* (c) */
};

/* A warp's position, and how many there are at a time. */
static __device__ __forceinline__ int64_t warp_number()
{
    return ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
}

static __device__ __forceinline__ int64_t warps()
{
    return (int64_t)gridDim.x * blockDim.x / WARP;
}

static __device__ double norm_of(const struct values &x, int64_t first, int64_t c)
{
    double sum = 0.0;
    for (int64_t j = threadIdx.x % WARP; j < c; j += WARP) {
        double value = get(x, first + j);
        sum += value * value;
    }
    return sqrt(warp_sum(sum));
}

static __global__ void __launch_bounds__(THREADS)
    sum_distances(struct distance_state s, struct values x, struct values y, double *sums)
{
    double sum = 0.0;
    for (int64_t i = warp_number(); i < s.positions; i += warps()) {
        int64_t at = i * s.c;
        double a = 1.0 / (norm_of(x, at, s.c) + least_norm);
        double b = 1.0 / (norm_of(y, at, s.c) + least_norm);
        for (int64_t j = threadIdx.x % WARP; j < s.c; j += WARP) {
            double difference = a * (double)get(x, at + j) - b * (double)get(y, at + j);
            sum += (double)s.weights[j] * difference * difference;
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

static __global__ void __launch_bounds__(THREADS)
    finish(const double *sums, int64_t blocks, double positions, float *output)
{
    double sum = array_sum(sums, blocks);
    if (threadIdx.x == 0)
        *output = (float)(sum / positions);
}

/* dx may lie where x is: a warp has read a position before it writes it. */
static __global__ void __launch_bounds__(THREADS)
    differentiate(struct distance_state s, struct values x, struct values y, const float *gradient,
                  struct values dx)
{
    double factor = 2.0 * (double)*gradient / (double)s.positions;
    for (int64_t i = warp_number(); i < s.positions; i += warps()) {
        int64_t at = i * s.c;
        double norm = norm_of(x, at, s.c), a = 1.0 / (norm + least_norm), along = 0.0;
        double b = 1.0 / (norm_of(y, at, s.c) + least_norm);
        for (int64_t j = threadIdx.x % WARP; j < s.c; j += WARP) {
            double value = get(x, at + j);
            along += (double)s.weights[j] * (a * value - b * (double)get(y, at + j)) * value;
        }
        along = warp_sum(along) * (norm > 0.0 ? a / norm : 0.0);
        for (int64_t j = threadIdx.x % WARP; j < s.c; j += WARP) {
            double value = get(x, at + j), other = get(y, at + j);
            double own = (double)s.weights[j] * (a * value - b * other) - along * value;
            put(dx, at + j, (float)(factor * a * own));
        }
    }
}

static unsigned blocks_of(const distance_state *s)
{
    return sum_blocks(s->positions * WARP);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    bool gradient = o->kind == OP_FEATURE_DISTANCE_DATA;
    const char *why = check_feature_distance(o);
    if (why)
        return why;
    distance_state *s = new_state<distance_state>();
    if (!s)
        return "out of memory";
    s->c = o->input[0].shape.c;
    s->positions = shape_count(o->input[0].shape) / s->c;
    s->dtype = o->input[0].dtype;
    *needs = {};
    *in_place = gradient ? 0 : -1;
    cuda_reserve(&needs->prepared, s->c, sizeof(float));
    needs->scratch = (size_t)weight_bytes(&o->weight[0]);
    if (!gradient)
        cuda_reserve(&needs->workspace, blocks_of(s), sizeof(double));
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    distance_state *s = static_cast<distance_state *>(state);
    s->weights = static_cast<const float *>(prepared);
    return cuda_pack_vector(&o->weight[0], s->c, DTYPE_F32, nullptr, prepared, scratch);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const distance_state *s = static_cast<distance_state *>(state);
    double *sums = static_cast<double *>(workspace);
    cudaStream_t stream = cuda_device()->stream;
    sum_distances<<<blocks_of(s), THREADS, 0, stream>>>(*s, values_of(inputs[0], s->dtype),
                                                        values_of(inputs[1], s->dtype), sums);
    finish<<<1, THREADS, 0, stream>>>(sums, blocks_of(s), (double)s->positions,
                                      static_cast<float *>(output));
    return cuda_launched();
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *)
{
    const distance_state *s = static_cast<distance_state *>(state);
    differentiate<<<blocks_for(s->positions * WARP), THREADS, 0, cuda_device()->stream>>>(
        *s, values_of(inputs[0], s->dtype), values_of(inputs[1], s->dtype),
        static_cast<const float *>(inputs[2]), values_of(output, s->dtype));
    return cuda_launched();
}

const struct kernel cuda_feature_distance = {create, prepare, run, free};
const struct kernel cuda_feature_distance_data = {create, prepare, data_run, free};
