/* OP_LINEAR_DATA, dx = (dy·W)·f′(x), and OP_LINEAR_WEIGHTS, dW += dyᵀ·f(x) and db += Σ dy. */
#include "kernels/cuda/device.cuh"

struct linear_state {
    int64_t n, in, out;
    bool silu;
    float *gradient[2];
    const float *matrix; /* (out, in) */
};

/* A block makes WARP inputs of sample blockIdx.y; its rows share the outputs. */
static __global__ void __launch_bounds__(THREADS)
    data(struct linear_state s, const float *dy, const float *x, float *dx)
{
    enum { ROWS = THREADS / WARP };
    __shared__ float sums[ROWS][WARP];
    int lane = threadIdx.x % WARP, row = threadIdx.x / WARP;
    int64_t i = (int64_t)blockIdx.x * WARP + lane, sample = blockIdx.y;
    float sum = 0.0f;
    for (int64_t o = row; i < s.in && o < s.out; o += ROWS)
        sum = fmaf(dy[sample * s.out + o], s.matrix[o * s.in + i], sum);
    sums[row][lane] = sum;
    __syncthreads();
    if (row || i >= s.in)
        return;
    for (int k = 1; k < ROWS; k++)
        sum += sums[k][lane];
    int64_t at = sample * s.in + i;
    dx[at] = s.silu ? sum * silu_slope(x[at]) : sum;
}

static __global__ void matrix_gradient(struct linear_state s, const float *x, const float *dy)
{
    EACH(k, s.out * s.in)
    {
        float sum = 0.0f;
        for (int64_t n = 0; n < s.n; n++) {
            float value = x[n * s.in + k % s.in];
            sum = fmaf(dy[n * s.out + k / s.in], s.silu ? silu(value) : value, sum);
        }
        s.gradient[0][k] += sum;
    }
}

static __global__ void bias_gradient(struct linear_state s, const float *dy)
{
    EACH(o, s.out)
    {
        float sum = 0.0f;
        for (int64_t n = 0; n < s.n; n++)
            sum += dy[n * s.out + o];
        s.gradient[1][o] += sum;
    }
}

static linear_state *new_linear(const struct operation *o, struct shape x, struct shape dy)
{
    linear_state *s = new_state<linear_state>();
    if (!s)
        return nullptr;
    s->n = x.n * x.d * x.h * x.w;
    s->in = x.c;
    s->out = dy.c;
    s->silu = o->linear.silu_input;
    s->gradient[0] = o->gradient[0];
    s->gradient[1] = o->gradient[1];
    return s;
}

static const char *data_create(const struct operation *o, void **state, struct needs *needs,
                               int *in_place)
{
    enum { SAMPLES = 65535 };
    const char *why = check_linear_data(o);
    if (why)
        return why;
    struct shape x = o->input[1].shape;
    if (x.n * x.d * x.h * x.w > SAMPLES)
        return "there are more than 65535 samples";
    linear_state *s = new_linear(o, x, o->input[0].shape);
    if (!s)
        return "out of memory";
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->prepared, s->out, s->in * (int64_t)sizeof(float));
    needs->scratch = (size_t)weight_bytes(&o->weight[0]);
    *state = s;
    return nullptr;
}

static const char *data_prepare(void *state, const struct operation *o, void *prepared,
                                void *scratch)
{
    linear_state *s = static_cast<linear_state *>(state);
    s->matrix = static_cast<const float *>(prepared);
    return cuda_pack_vector(&o->weight[0], s->in * s->out, DTYPE_F32, nullptr, prepared, scratch);
}

static const char *data_run(void *state, const void *const *inputs, void *output, void *)
{
    const linear_state *s = static_cast<linear_state *>(state);
    dim3 grid((unsigned)((s->in + WARP - 1) / WARP), (unsigned)s->n);
    data<<<grid, THREADS, 0, cuda_device()->stream>>>(*s, static_cast<const float *>(inputs[0]),
                                                      static_cast<const float *>(inputs[1]),
                                                      static_cast<float *>(output));
    return cuda_launched();
}

static const char *weights_create(const struct operation *o, void **state, struct needs *needs,
                                  int *in_place)
{
    const char *why = check_linear_weights(o);
    if (why)
        return why;
    linear_state *s = new_linear(o, o->input[0].shape, o->input[1].shape);
    if (!s)
        return "out of memory";
    *needs = {};
    *in_place = -1;
    *state = s;
    return nullptr;
}

static const char *weights_run(void *state, const void *const *inputs, void *output, void *)
{
    const linear_state *s = static_cast<linear_state *>(state);
    const float *x = static_cast<const float *>(inputs[0]);
    const float *dy = static_cast<const float *>(inputs[1]);
    cudaStream_t stream = cuda_device()->stream;
    cudaError_t status = cudaMemsetAsync(output, 0, sizeof(float), stream);
    if (status != cudaSuccess)
        return cuda_error(status);
    if (s->gradient[0])
        matrix_gradient<<<blocks_for(s->in * s->out), THREADS, 0, stream>>>(*s, x, dy);
    if (s->gradient[1])
        bias_gradient<<<blocks_for(s->out), THREADS, 0, stream>>>(*s, dy);
    return cuda_launched();
}

const struct kernel cuda_linear_data = {data_create, data_prepare, data_run, free};
const struct kernel cuda_linear_weights = {weights_create, needs_nothing, weights_run, free};
