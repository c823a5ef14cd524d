/* Which positions of a convolution's maps belong together. */
#ifndef OCTPIPE_KERNELS_CUDA_CONVOLUTION_SOURCE_CUH
#define OCTPIPE_KERNELS_CUDA_CONVOLUTION_SOURCE_CUH

#include "kernels/cuda/device.cuh"

extern "C" {
#include "kernels/cuda/convolution.h"
}

struct position {
    int64_t n, d, h, w;
};

/* Where the p-th position of a map lies. */
static __device__ __forceinline__ struct position position_of(const struct shape &map, int64_t p)
{
    return {p / map.w / map.h / map.d, p / map.w / map.h % map.d, p / map.w % map.h, p % map.w};
}

/* The input position that output o sees under kernel index k along an axis; −1: none, or zero. */
static __host__ __device__ __forceinline__ int64_t convolution_source(const struct convolution &c,
                                                                      int axis, int64_t o, int k,
                                                                      int64_t extent)
{
    int64_t at = o * c.stride[axis] + k;
    if (c.transposed) {
        at = o + c.crop[axis] - k;
        if (at < 0 || at % c.stride[axis])
            return -1;
        at /= c.stride[axis];
        if (at >= extent + c.pad_front[axis] + c.pad_back[axis])
            return -1;
    }
    at -= c.pad_front[axis];
    int64_t read = extent << c.upsampled[axis];
    if (c.padding == PADDING_REPLICATE)
        at = at < 0 ? 0 : at >= read ? read - 1 : at;
    return at < 0 || at >= read ? -1 : at >> c.upsampled[axis];
}

/* The output position that sees position q of the padded input under kernel index k; −1: none. */
static __device__ __forceinline__ int64_t convolution_viewer(const struct convolution &c, int axis,
                                                             int64_t q, int k, int64_t out)
{
    int64_t o = q * c.stride[axis] + k - c.crop[axis];
    if (!c.transposed) {
        o = q - k;
        if (o % c.stride[axis])
            return -1;
        o /= c.stride[axis];
    }
    return o < 0 || o >= out ? -1 : o;
}

/* first … last: the positions of an upsampled and padded map of `padded` that an input position
 * stands at; those at the edges stand at all that lies beyond where `replicated`. */
struct stand {
    int64_t first, last;
};

static __device__ __forceinline__ struct stand stand_of(int64_t position, int64_t extent, int front,
                                                        bool upsampled, bool replicated,
                                                        int64_t padded)
{
    int64_t first = (position << upsampled) + front, last = first + upsampled;
    if (first < 0 || (replicated && position == 0))
        first = 0;
    if (last >= padded || (replicated && position == extent - 1))
        last = padded - 1;
    return {first, last};
}

#endif
