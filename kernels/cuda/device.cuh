/* What CUDA C files share: types, loops over elements, the way from and to f32. */
#ifndef OCTPIPE_KERNELS_CUDA_DEVICE_CUH
#define OCTPIPE_KERNELS_CUDA_DEVICE_CUH

extern "C" {
#include "kernels/cuda/cuda.h"
}

#include <cuda_bf16.h>
#include <stdlib.h>

using bf16 = __nv_bfloat16;

enum { THREADS = 256, WARP = 32 };
static constexpr unsigned all_lanes = 0xffffffffu;

/* Blocks of THREADS for `count` elements, at most what a grid holds along y too. */
static inline unsigned blocks_for(int64_t count)
{
    int64_t blocks = (count + THREADS - 1) / THREADS;
    return (unsigned)(blocks < 65535 ? blocks : 65535);
}

/* Every i below count, shared among all threads of a grid. */
#define EACH(i, count)                                                                             \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (count);                  \
         i += (int64_t)gridDim.x * blockDim.x)

static __device__ __forceinline__ float to_f32(float x)
{
    return x;
}

static __device__ __forceinline__ float to_f32(bf16 x)
{
    return __bfloat162float(x);
}

static __device__ __forceinline__ float to_f32(unsigned char x)
{
    return (float)x;
}

template <typename T> __device__ __forceinline__ T from_f32(float x);
template <> __device__ __forceinline__ float from_f32<float>(float x)
{
    return x;
}
template <> __device__ __forceinline__ bf16 from_f32<bf16>(float x)
{
    return __float2bfloat16_rn(x);
}

static __device__ __forceinline__ float silu(float x)
{
    return x / (1.0f + expf(-x));
}

/* To a few units of 2^-22, which bf16 does not see. */
static __device__ __forceinline__ float silu_roughly(float x)
{
    return __fdividef(x, 1.0f + __expf(-x));
}

/* The derivative of SiLU. */
static __device__ __forceinline__ float silu_slope(float x)
{
    float s = 1.0f / (1.0f + expf(-x));
    return s * (1.0f + x * (1.0f - s));
}

/* Elements of f32 or bf16, as the host says. */
struct values {
    void *data;
    bool narrow;
};

static __device__ __forceinline__ float get(const struct values &v, int64_t i)
{
    return v.narrow ? to_f32(static_cast<const bf16 *>(v.data)[i])
                    : static_cast<const float *>(v.data)[i];
}

static __device__ __forceinline__ void put(const struct values &v, int64_t i, float x)
{
    if (v.narrow)
        static_cast<bf16 *>(v.data)[i] = from_f32<bf16>(x);
    else
        static_cast<float *>(v.data)[i] = x;
}

static inline struct values values_of(const void *data, enum dtype dtype)
{
    return {const_cast<void *>(data), dtype == DTYPE_BF16};
}

/* N values that are read and written at once. */
template <typename T, int N> struct alignas(sizeof(T) * N) pack_of {
    T value[N];
};

/* New zeroed memory for a state. */
template <typename S> static S *new_state(void)
{
    return static_cast<S *>(calloc(1, sizeof(S)));
}

#endif
