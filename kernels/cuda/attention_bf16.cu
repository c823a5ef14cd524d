/* Attention in bf16 on tensor cores (mma.sync m16n8k16, sums in f32). A block of four warps makes
 * QUERIES rows × COLUMNS outputs; each warp has 16 queries, and weights go from one product to the
 * next in its registers: the sums of a 16×16 square of scores lie as the left operand of the second
 * product is wanted.
 *
 * Of an operand's 8×8 squares lane 4·i + j holds elements (i, 2j) and (i, 2j + 1); of sums too. */
#include "kernels/cuda/device.cuh"

extern "C" {
#include "kernels/cuda/attention.h"
}

#include <math_constants.h>

enum {
    WARPS = 4,
    BLOCK = WARPS * WARP,
    TILE = 16, /* rows of a warp; depth of a product */
    QUERIES = WARPS * TILE,
    KEYS = 64,
    PAD = 8,              /* so that eight rows lie in different banks */
    MOST_SHARED = 160000, /* bytes; compute capability 8.0 has 163 KiB */
    NARROW = 64,
    WIDE = 128,
};

/* Columns of a row in shared memory: whole tiles. */
static __host__ __device__ int padded(int width)
{
    return (width + TILE - 1) / TILE * TILE;
}

/* Four 8×8 squares from shared memory; this lane's address is row lane % 8 of square lane / 8. */
static __device__ __forceinline__ void load_squares(unsigned (&r)[4], const bf16 *row)
{
    unsigned address = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

/* The same, each square transposed. */
static __device__ __forceinline__ void load_transposed(unsigned (&r)[4], const bf16 *row)
{
    unsigned address = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

/* sum (16×8) += a (16×16) · b (16×8). */
static __device__ __forceinline__ void multiply(float (&sum)[4], const unsigned (&a)[4],
                                                unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

static __device__ __forceinline__ unsigned pair_of(float low, float high)
{
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<unsigned *>(&pair);
}

/* Rows of q, k or v from `token` on: columns first … first + columns of the head, zero outside;
 * vectors of eight where the width allows. */
static __device__ void load_rows(const attention_job &job, const bf16 *head, int token, int part,
                                 int first, int columns, int rows, bf16 *to)
{
    int pitch = columns + PAD;
    int64_t step = (int64_t)3 * job.heads * job.width;
    const bf16 *from = head + token * step + part * job.width + first;
    if (job.width % 8 == 0) {
        for (int i = threadIdx.x; i < rows * columns / 8; i += BLOCK) {
            int row = i / (columns / 8), column = i % (columns / 8) * 8;
            uint4 values = {0, 0, 0, 0};
            if (token + row < job.tokens && first + column < job.width)
                values = *reinterpret_cast<const uint4 *>(from + row * step + column);
            *reinterpret_cast<uint4 *>(to + row * pitch + column) = values;
        }
        return;
    }
    for (int i = threadIdx.x; i < rows * columns; i += BLOCK) {
        int row = i / columns, column = i % columns;
        bool inside = token + row < job.tokens && first + column < job.width;
        to[row * pitch + column] = inside ? from[row * step + column] : from_f32<bf16>(0.0f);
    }
}

/* A warp's scores: sums over the width of its 16 rows of q with KEYS rows of k. */
static __device__ __forceinline__ void score(const bf16 *q, const bf16 *k, int width,
                                             float (&scores)[KEYS / 8][4])
{
    int lane = threadIdx.x % WARP, square = lane / 8, row = lane % 8, pitch = width + PAD;
    const bf16 *left = q + (square % 2 * 8 + row) * pitch + square / 2 * 8;
    const bf16 *right = k + (square / 2 * 8 + row) * pitch + square % 2 * 8;
#pragma unroll
    for (int i = 0; i < KEYS / 8; i++)
        scores[i][0] = scores[i][1] = scores[i][2] = scores[i][3] = 0.0f;
    for (int depth = 0; depth < width; depth += TILE) {
        unsigned a[4], b[4];
        load_squares(a, left + depth);
#pragma unroll
        for (int i = 0; i < KEYS / TILE; i++) {
            load_squares(b, right + i * TILE * pitch + depth);
            multiply(scores[2 * i], a, b[0], b[1]);
            multiply(scores[2 * i + 1], a, b[2], b[3]);
        }
    }
}

/* Scores to weights 2^(score − maximum) of this lane's rows i = 0 and 1 (8 further), with scores
 * beyond the last key −∞. Returns by how much the sums so far shrink. */
static __device__ __forceinline__ float weigh(float (&scores)[KEYS / 8][4], int i, float scale,
                                              int keys, float &maximum, float &sum)
{
    int column = threadIdx.x % 4 * 2;
    float highest = maximum, added = 0.0f;
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float &x = scores[j][2 * i + e];
            x = 8 * j + column + e < keys ? x * scale : -CUDART_INF_F;
            highest = fmaxf(highest, x);
        }
    highest = fmaxf(highest, __shfl_xor_sync(all_lanes, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(all_lanes, highest, 2));
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float &x = scores[j][2 * i + e];
            x = exp2f(x - highest);
            added += x;
        }
    float factor = exp2f(maximum - highest);
    sum = sum * factor + added; /* of this lane's columns; four lanes share a row */
    maximum = highest;
    return factor;
}

/* out += weights · v, 16 keys at a time. */
template <int COLUMNS>
static __device__ __forceinline__ void add_values(const float (&weights)[KEYS / 8][4],
                                                  const bf16 *v, float (&out)[COLUMNS / 8][4])
{
    enum { PITCH = COLUMNS + PAD };
    int lane = threadIdx.x % WARP, square = lane / 8, row = lane % 8;
    const bf16 *right = v + (square % 2 * 8 + row) * PITCH + square / 2 * 8;
#pragma unroll
    for (int i = 0; i < KEYS / TILE; i++) {
        const float *near = weights[2 * i], *far = weights[2 * i + 1];
        const unsigned a[4] = {pair_of(near[0], near[1]), pair_of(near[2], near[3]),
                               pair_of(far[0], far[1]), pair_of(far[2], far[3])};
#pragma unroll
        for (int j = 0; j < COLUMNS / TILE; j++) {
            unsigned b[4];
            load_transposed(b, right + i * TILE * PITCH + j * TILE);
            multiply(out[2 * j], a, b[0], b[1]);
            multiply(out[2 * j + 1], a, b[2], b[3]);
        }
    }
}

/* This lane's outputs in row i (0 or 1) of its warp, over the row's sum. */
template <int COLUMNS, typename To>
static __device__ __forceinline__ void store(const attention_job &job, To *to, int first, int i,
                                             float sum, const float (&out)[COLUMNS / 8][4])
{
    sum += __shfl_xor_sync(all_lanes, sum, 1);
    sum += __shfl_xor_sync(all_lanes, sum, 2);
    float inverse = 1.0f / sum;
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            int column = first + 8 * j + threadIdx.x % 4 * 2 + e;
            if (to && column < job.width)
                to[column] = from_f32<To>(out[j][2 * i + e] * inverse);
        }
}

template <int COLUMNS, typename To>
static __global__ void __launch_bounds__(BLOCK) attend(attention_job job, int chunks)
{
    extern __shared__ __align__(16) bf16 shared[];
    int width = padded(job.width), query = blockIdx.x / chunks * QUERIES;
    int first = blockIdx.x % chunks * COLUMNS, warp = threadIdx.x / WARP;
    bf16 *q = shared, *k = q + QUERIES * (width + PAD), *v = k + KEYS * (width + PAD);
    int64_t set = blockIdx.z, wide = (int64_t)job.heads * job.width;
    const bf16 *head = static_cast<const bf16 *>(job.input) + set * job.tokens * 3 * wide +
                       (int64_t)blockIdx.y * 3 * job.width;
    float scores[KEYS / 8][4], out[COLUMNS / 8][4] = {};
    float maximum[2] = {-CUDART_INF_F, -CUDART_INF_F}, sum[2] = {};
    float scale = job.scale * 1.4426950408889634f; /* 1/log 2: weights are powers of 2 */
    load_rows(job, head, query, 0, 0, width, QUERIES, q);
    for (int key = 0; key < job.tokens; key += KEYS) {
        __syncthreads();
        load_rows(job, head, key, 1, 0, width, KEYS, k);
        load_rows(job, head, key, 2, first, COLUMNS, KEYS, v);
        __syncthreads();
        score(q + warp * TILE * (width + PAD), k, width, scores);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float factor = weigh(scores, i, scale, job.tokens - key, maximum[i], sum[i]);
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; j++) {
                out[j][2 * i] *= factor;
                out[j][2 * i + 1] *= factor;
            }
        }
        add_values<COLUMNS>(scores, v, out);
    }
    To *to =
        static_cast<To *>(job.output) + set * job.tokens * wide + (int64_t)blockIdx.y * job.width;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int token = query + warp * TILE + threadIdx.x % WARP / 4 + 8 * i;
        store<COLUMNS>(job, token < job.tokens ? to + token * wide : nullptr, first, i, sum[i],
                       out);
    }
}

static int columns_of(int64_t width)
{
    return width <= NARROW ? NARROW : WIDE;
}

static size_t shared_bytes(int width)
{
    int columns = columns_of(width);
    return sizeof(bf16) *
           (size_t)((QUERIES + KEYS) * (padded(width) + PAD) + KEYS * (columns + PAD));
}

const char *attention_bf16_check(int64_t width)
{
    return width > MOST_SHARED || shared_bytes((int)width) > MOST_SHARED
               ? "heads are wider than 544 channels"
               : nullptr;
}

typedef void kernel_of(attention_job job, int chunks);

static kernel_of *choose(int width, bool f32)
{
    if (columns_of(width) == NARROW)
        return f32 ? attend<NARROW, float> : attend<NARROW, bf16>;
    return f32 ? attend<WIDE, float> : attend<WIDE, bf16>;
}

const char *attention_bf16_run(const attention_job *job)
{
    int columns = columns_of(job->width), chunks = (job->width + columns - 1) / columns;
    dim3 grid((unsigned)((job->tokens + QUERIES - 1) / QUERIES * chunks), (unsigned)job->heads,
              (unsigned)job->sets);
    kernel_of *kernel = choose(job->width, job->output_f32);
    size_t shared = shared_bytes(job->width);
    const char *why = cuda_error(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared));
    if (why)
        return why;
    kernel<<<grid, BLOCK, shared, cuda_device()->stream>>>(*job, chunks);
    return cuda_launched();
}
