/* Tensors as the kernels see them: a shape, an element type, a layout, dense memory.
 *
 * One alphabet everywhere: n samples, d slices (depth), h rows, w columns, c channels.
 * A 2-D network has d = 1, or a window of d slices that its 2-D operations treat one by one.
 */
#ifndef OCTPIPE_KERNELS_TENSOR_H
#define OCTPIPE_KERNELS_TENSOR_H

#include <stdint.h>

enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F64,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_U16,
    DTYPE_I16,
    DTYPE_U32,
    DTYPE_I32,
    DTYPE_U64,
    DTYPE_I64,
    DTYPE_BOOL,
};

/* Bytes of one element. */
static inline int64_t dtype_size(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_F64:
    case DTYPE_U64:
    case DTYPE_I64:
        return 8;
    case DTYPE_F32:
    case DTYPE_U32:
    case DTYPE_I32:
        return 4;
    case DTYPE_F16:
    case DTYPE_BF16:
    case DTYPE_U16:
    case DTYPE_I16:
        return 2;
    default:
        return 1;
    }
}

enum layout {
    CHANNELS_LAST, /* (n, d, h, w, c): every activation */
    SLICE_MAJOR,   /* (n, d, c, h, w): what the stream carries */
};

struct shape {
    int64_t n, d, h, w, c;
};

struct tensor {
    struct shape shape;
    enum dtype dtype;
    enum layout layout;
};

/* Elements of a shape; shapes are checked against overflow when a graph value is made. */
static inline int64_t shape_count(struct shape s)
{
    return s.n * s.d * s.h * s.w * s.c;
}

static inline int64_t tensor_bytes(struct tensor t)
{
    return shape_count(t.shape) * dtype_size(t.dtype);
}

#endif
