/* OP_QUANTIZE: an exhaustive search, a thread a pixel, through the codebook in pieces that a block
 * shares. */
#include "kernels/cuda/device.cuh"

#include <math_constants.h>

enum {
    PIECE = 4096, /* values of the codebook at a time */
    MOST = 64,    /* channels of a code */
    USUAL = 4,    /* channels of the published latents */
};

struct quantize_state {
    int64_t pixels;
    int c, codes;
    const float *codebook; /* (codes, c) */
};

/* C channels; 0: as many as `channels` says. A thread writes over its pixel when it has read it. */
template <int C>
static __global__ void nearest(const float *from, float *to, const float *codebook, int64_t pixels,
                               int codes, int channels)
{
    __shared__ float piece[PIECE];
    const int c = C ? C : channels, fits = PIECE / c;
    int64_t pixel = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    bool inside = pixel < pixels;
    float z[C ? C : MOST], best = CUDART_INF_F;
    int winner = 0;
    for (int j = 0; j < c; j++)
        z[j] = inside ? from[pixel * c + j] : 0.0f;
    for (int first = 0; first < codes; first += fits) {
        int count = min(fits, codes - first);
        __syncthreads();
        for (int i = threadIdx.x; i < count * c; i += blockDim.x)
            piece[i] = codebook[(int64_t)first * c + i];
        __syncthreads();
        for (int k = 0; k < count; k++) {
            float distance = 0.0f;
            for (int j = 0; j < c; j++) {
                float d = z[j] - piece[k * c + j];
                distance = fmaf(d, d, distance);
            }
            if (distance < best) {
                best = distance;
                winner = first + k;
            }
        }
    }
    for (int j = 0; inside && j < c; j++)
        to[pixel * c + j] = codebook[(int64_t)winner * c + j];
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_quantize(o);
    if (why)
        return why;
    if (o->output.shape.c > MOST)
        return "the codes have more than 64 channels";
    quantize_state *s = new_state<quantize_state>();
    if (!s)
        return "out of memory";
    s->c = (int)o->output.shape.c;
    s->pixels = shape_count(o->output.shape) / s->c;
    s->codes = (int)o->weight[0].shape[0];
    *needs = {};
    *in_place = 0;
    cuda_reserve(&needs->prepared, s->codes, s->c * (int64_t)sizeof(float));
    needs->scratch = (size_t)weight_bytes(&o->weight[0]);
    *state = s;
    return nullptr;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    quantize_state *s = static_cast<quantize_state *>(state);
    s->codebook = static_cast<const float *>(prepared);
    return cuda_pack_vector(&o->weight[0], (int64_t)s->codes * s->c, DTYPE_F32, nullptr, prepared,
                            scratch);
}

static const char *run(void *state, const void *const *inputs, void *output, void *)
{
    const quantize_state *s = static_cast<quantize_state *>(state);
    const float *from = static_cast<const float *>(inputs[0]);
    int64_t blocks = (s->pixels + THREADS - 1) / THREADS;
    if (blocks > INT32_MAX)
        return "the map is too large";
    (s->c == USUAL ? nearest<USUAL>
                   : nearest<0>)<<<(unsigned)blocks, THREADS, 0, cuda_device()->stream>>>(
        from, static_cast<float *>(output), s->codebook, s->pixels, s->codes, s->c);
    return cuda_launched();
}

const struct kernel cuda_quantize = {create, prepare, run, free};
