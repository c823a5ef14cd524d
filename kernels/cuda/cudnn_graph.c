#include "kernels/cuda/cudnn_graph.h"

#include <string.h>

enum { RANK = 2 + CUDNN_AXES };

typedef cudnnBackendDescriptor_t descriptor;

static cudnnDataType_t type_of(enum dtype dtype)
{
    return dtype == DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* A dense channels-last tensor (n, c, axes…) in cuDNN's order of dimensions. */
static descriptor new_tensor(struct bag *bag, int64_t name, int dims, int64_t n, int64_t c,
                             const int64_t *extent, cudnnDataType_t type, bool stored)
{
    descriptor d = bag_new(bag, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t dimension[RANK] = {n, c}, stride[RANK], alignment = CUDNN_MAP_ALIGNMENT, step = c;
    bool is_virtual = !stored;
    stride[1] = 1;
    for (int axis = dims - 1; axis >= 0; axis--) {
        dimension[2 + axis] = extent[axis];
        stride[2 + axis] = step;
        step *= extent[axis];
    }
    stride[0] = step;
    bag_set_integers(bag, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 1, &name);
    bag_set(bag, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    bag_set_integers(bag, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1, &alignment);
    bag_set_integers(bag, d, CUDNN_ATTR_TENSOR_DIMENSIONS, 2 + dims, dimension);
    bag_set_integers(bag, d, CUDNN_ATTR_TENSOR_STRIDES, 2 + dims, stride);
    bag_set(bag, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    bag_finalize(bag, d);
    return d;
}

static descriptor new_correlation(struct bag *bag, const struct cudnn_convolution *c)
{
    descriptor d = bag_new(bag, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dims = c->dims, dilation[CUDNN_AXES] = {1, 1, 1};
    bag_set(bag, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    bag_set(bag, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    bag_set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 1, &dims);
    bag_set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, dims, c->front);
    bag_set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, dims, c->back);
    bag_set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, dims, c->stride);
    bag_set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, dims, dilation);
    bag_finalize(bag, d);
    return d;
}

static descriptor new_forward(struct bag *bag, descriptor correlation, descriptor x, descriptor w,
                              descriptor y)
{
    descriptor d = bag_new(bag, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    const float one = 1, zero = 0;
    bag_set(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    bag_set(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, correlation);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    bag_finalize(bag, d);
    return d;
}

static descriptor new_addition(struct bag *bag, descriptor a, descriptor b, descriptor sum)
{
    const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    descriptor add = bag_new(bag, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    bag_set(bag, add, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    bag_set(bag, add, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    bag_finalize(bag, add);
    descriptor d = bag_new(bag, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, add);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    bag_set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, sum);
    bag_finalize(bag, d);
    return d;
}

static void output_extents(const struct cudnn_convolution *c, int64_t *extent)
{
    for (int axis = 0; axis < c->dims; axis++)
        extent[axis] =
            (c->extent[axis] + c->front[axis] + c->back[axis] - c->kernel[axis]) / c->stride[axis] +
            1;
}

/* conv → + residual → + bias; what lies between is f32 and never stored. Returns how many. */
static int add_forward(struct bag *bag, const struct cudnn_convolution *c, descriptor *operation)
{
    static const int64_t one[CUDNN_AXES] = {1, 1, 1};
    int64_t extent[CUDNN_AXES];
    descriptor sum;
    int operations = 0, additions = c->bias + c->residual;
    cudnnDataType_t in = type_of(c->in_type), out = type_of(c->out_type);
    output_extents(c, extent);
    descriptor x = new_tensor(bag, CUDNN_NAME_X, c->dims, c->n, c->c, c->extent, in, true);
    descriptor w = new_tensor(bag, CUDNN_NAME_WEIGHTS, c->dims, c->out, c->c, c->kernel, in, true);
    sum = new_tensor(bag, additions ? CUDNN_NAME_PRODUCT : CUDNN_NAME_Y, c->dims, c->n, c->out,
                     extent, additions ? CUDNN_DATA_FLOAT : out, !additions);
    operation[operations++] = new_forward(bag, new_correlation(bag, c), x, w, sum);
    if (c->residual) {
        descriptor residual =
            new_tensor(bag, CUDNN_NAME_RESIDUAL, c->dims, c->n, c->out, extent, out, true);
        descriptor to = new_tensor(bag, c->bias ? CUDNN_NAME_SUM : CUDNN_NAME_Y, c->dims, c->n,
                                   c->out, extent, c->bias ? CUDNN_DATA_FLOAT : out, !c->bias);
        operation[operations++] = new_addition(bag, sum, residual, to);
        sum = to;
    }
    if (c->bias) {
        descriptor bias = new_tensor(bag, CUDNN_NAME_BIAS, c->dims, 1, c->out, one, out, true);
        descriptor to = new_tensor(bag, CUDNN_NAME_Y, c->dims, c->n, c->out, extent, out, true);
        operation[operations++] = new_addition(bag, sum, bias, to);
    }
    return operations;
}

/* The names under which an operation of a gradient takes its tensors. */
struct gradient_names {
    cudnnBackendDescriptorType_t operation;
    cudnnBackendAttributeName_t alpha, beta, correlation, x, w, y;
};

static descriptor new_gradient(struct bag *bag, const struct cudnn_convolution *c)
{
    static const struct gradient_names names[] = {
        [CUDNN_MAKES_DX] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
        [CUDNN_MAKES_DW] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
    };
    const struct gradient_names *name = &names[c->makes];
    const float one = 1, zero = 0;
    int64_t extent[CUDNN_AXES];
    cudnnDataType_t in = type_of(c->in_type), out = type_of(c->out_type);
    output_extents(c, extent);
    descriptor x = new_tensor(bag, CUDNN_NAME_X, c->dims, c->n, c->c, c->extent, in, true);
    descriptor w = new_tensor(bag, CUDNN_NAME_WEIGHTS, c->dims, c->out, c->c, c->kernel, in, true);
    descriptor y = new_tensor(bag, CUDNN_NAME_Y, c->dims, c->n, c->out, extent, out, true);
    descriptor correlation = new_correlation(bag, c), d = bag_new(bag, name->operation);
    bag_set(bag, d, name->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    bag_set(bag, d, name->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    bag_set_descriptor(bag, d, name->correlation, correlation);
    bag_set_descriptor(bag, d, name->x, x);
    bag_set_descriptor(bag, d, name->w, w);
    bag_set_descriptor(bag, d, name->y, y);
    bag_finalize(bag, d);
    return d;
}

descriptor cudnn_graph_new(struct bag *bag, const struct cudnn_convolution *c,
                           const struct cudnn_target *target)
{
    descriptor operation[3];
    int operations = 1;
    if (c->makes == CUDNN_MAKES_Y)
        operations = add_forward(bag, c, operation);
    else
        operation[0] = new_gradient(bag, c);
    descriptor graph = bag_new(bag, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    bag_set(bag, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations,
            operation);
    if (target->handle)
        bag_set(bag, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
                &target->handle);
    bag_finalize(bag, graph);
    return graph;
}

const char *cudnn_target_describe(struct cudnn_target *target, const char *json)
{
    struct bag bag = {.count = 0};
    descriptor d = bag_new(&bag, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    bag_set(&bag, d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
            (int64_t)strlen(json) + 1, json);
    bag_finalize(&bag, d);
    *target = (struct cudnn_target){.described = d};
    return bag.status == CUDNN_STATUS_SUCCESS ? NULL : cudnnGetErrorString(bag.status);
}
