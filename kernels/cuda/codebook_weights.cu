/* OP_CODEBOOK_WEIGHTS: the code that each pixel holds, then for each code a warp that adds the
 * pixels which hold it. A pixel that holds none is trouble. */
#include "kernels/cuda/sum.cuh"

struct codebook_state {
    int64_t pixels, c, codes;
    const float *book; /* (codes, c) */
    float *gradient;   /* (codes, c) */
};

/* The first code of a pixel's bits; −1: none. */
static __global__ void find(struct codebook_state s, const float *y, int32_t *code,
                            enum cuda_trouble *trouble)
{
    EACH(i, s.pixels)
    {
        const unsigned *pixel = reinterpret_cast<const unsigned *>(y + i * s.c);
        const unsigned *book = reinterpret_cast<const unsigned *>(s.book);
        int64_t k = 0;
        for (int64_t j = 0; k < s.codes && j < s.c;) {
            bool same = pixel[j] == book[k * s.c + j];
            k += !same;
            j = same ? j + 1 : 0;
        }
        if (k == s.codes)
            *trouble = TROUBLE_CODE;
        code[i] = k < s.codes ? (int32_t)k : -1;
    }
}

/* Channel by channel, a warp a code. */
static __global__ void __launch_bounds__(THREADS)
    add_pixels(struct codebook_state s, const float *dy, const int32_t *code, float *token)
{
    int64_t own = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    int lane = threadIdx.x % WARP;
    for (int64_t c = 0; c < s.c; c++) {
        double sum = 0.0;
        for (int64_t i = lane; own < s.codes && i < s.pixels; i += WARP)
            if (code[i] == own)
                sum += (double)dy[i * s.c + c];
        sum = warp_sum(sum);
        if (lane == 0 && own < s.codes)
            s.gradient[own * s.c + c] += (float)sum;
    }
    if (own == 0 && lane == 0)
        *token = 0.0f;
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_codebook_weights(o);
    if (why)
        return why;
    if (o->weight[0].shape[0] > QUANTIZE_CODES)
        return "the codebook has too many codes";
    codebook_state *s = new_state<codebook_state>();
    if (!s)
        return "out of memory";
    s->c = o->input[0].shape.c;
    s->pixels = shape_count(o->input[0].shape) / s->c;
    s->codes = o->weight[0].shape[0];
    s->gradient = o->gradient[0];
    *needs = {};
    *in_place = -1;
    cuda_reserve(&needs->prepared, s->codes, s->c * (int64_t)sizeof(float));
    cuda_reserve(&needs->workspace, s->pixels, sizeof(int32_t));
    needs->scratch = (size_t)weight_bytes(&o->weight[0]);
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    codebook_state *s = static_cast<codebook_state *>(state);
    s->book = static_cast<const float *>(prepared);
    return cuda_pack_vector(&o->weight[0], s->codes * s->c, DTYPE_F32, nullptr, prepared, scratch);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const codebook_state *s = static_cast<codebook_state *>(state);
    int32_t *code = static_cast<int32_t *>(workspace);
    cudaStream_t stream = cuda_device()->stream;
    if (!s->gradient)
        return cuda_error(cudaMemsetAsync(output, 0, sizeof(float), stream));
    find<<<blocks_for(s->pixels), THREADS, 0, stream>>>(*s, static_cast<const float *>(inputs[0]),
                                                        code, cuda_device()->trouble);
    int64_t blocks = (s->codes * WARP + THREADS - 1) / THREADS;
    add_pixels<<<(unsigned)blocks, THREADS, 0, stream>>>(*s, static_cast<const float *>(inputs[1]),
                                                         code, static_cast<float *>(output));
    return cuda_launched();
}

const struct kernel cuda_codebook_weights = {create, prepare, run, free};
