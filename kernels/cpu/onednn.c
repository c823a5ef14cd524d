#include "kernels/cpu/onednn.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

/* Version 3 made memory descriptors opaque and dropped operation descriptors; `onednn_md` is what
 * a descriptor is held in, MD() what the calls take. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t onednn_md;
typedef const_dnnl_memory_desc_t onednn_const_md;
#define MD(md) (md)
#else
typedef dnnl_memory_desc_t onednn_md;
typedef const dnnl_memory_desc_t *onednn_const_md;
#define MD(md) (&(md))
#endif

enum { SOURCE, WEIGHTS, BIAS, DESTINATION, WORKSPACE, ARGUMENTS };

struct onednn_convolution {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[ARGUMENTS];
    int weight_axes;
    dnnl_dims_t weight_dims;
};

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static const char *start(void)
{
    if (engine)
        return NULL;
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        return "oneDNN cannot start its CPU engine";
    if (dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success)
        return "oneDNN cannot make a stream";
    return NULL;
}

static dnnl_data_type_t data_type(enum dtype dtype)
{
    return dtype == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

static bool make_md(onednn_md *md, int axes, const dnnl_dims_t dims, dnnl_data_type_t type,
                    dnnl_format_tag_t tag)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(md, axes, dims, type, tag) == dnnl_success;
#else
    return dnnl_memory_desc_init_by_tag(md, axes, dims, type, tag) == dnnl_success;
#endif
}

static void free_md(onednn_md *md)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_memory_desc_destroy(*md);
#else
    (void)md;
#endif
}

static dnnl_format_tag_t weight_tag(int axes)
{
    return axes == 4 ? dnnl_oihw : dnnl_oidhw;
}

/* Fill the dims of source, weights, bias and destination: (batch, channels, [d,] h, w). */
static void fill_dims(const struct onednn_shape *s, dnnl_dims_t dims[4])
{
    dims[SOURCE][0] = dims[DESTINATION][0] = s->batch;
    dims[SOURCE][1] = dims[WEIGHTS][1] = s->in_channels;
    dims[DESTINATION][1] = dims[WEIGHTS][0] = dims[BIAS][0] = s->out_channels;
    for (int i = 0; i < s->axes; i++) {
        int axis = 3 - s->axes + i;
        dims[SOURCE][2 + i] = s->in[axis];
        dims[DESTINATION][2 + i] = s->out[axis];
        dims[WEIGHTS][2 + i] = s->kernel[axis];
    }
}

static dnnl_status_t describe(dnnl_primitive_desc_t *description, const struct onednn_shape *s,
                              onednn_md md[4], const_dnnl_primitive_attr_t attributes)
{
    dnnl_dims_t stride, front, back;
    for (int i = 0; i < s->axes; i++) {
        int axis = 3 - s->axes + i;
        stride[i] = s->stride[axis];
        front[i] = s->pad_front[axis];
        back[i] = s->pad_back[axis];
    }
#if DNNL_VERSION_MAJOR >= 3
    dnnl_dims_t dilation = {0};
    return dnnl_convolution_forward_primitive_desc_create(
        description, engine, dnnl_forward_inference, dnnl_convolution_direct, md[SOURCE],
        md[WEIGHTS], md[BIAS], md[DESTINATION], stride, dilation, front, back, attributes);
#else
    dnnl_convolution_desc_t operation;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &operation, dnnl_forward_inference, dnnl_convolution_direct, &md[SOURCE], &md[WEIGHTS],
        &md[BIAS], &md[DESTINATION], stride, front, back);
    if (status != dnnl_success)
        return status;
    return dnnl_primitive_desc_create(description, &operation, attributes, engine, NULL);
#endif
}

/* oneDNN's own scratch memory is placed by our plan; sums go onto what the destination holds. */
static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attributes,
                                     const struct onednn_shape *s)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (status != dnnl_success || !s->accumulate)
        return status;
    dnnl_post_ops_t post;
    status = dnnl_post_ops_create(&post);
    if (status != dnnl_success)
        return status;
#if DNNL_VERSION_MAJOR >= 3
    status = dnnl_post_ops_append_sum(post, s->accumulate_scale, 0, dnnl_data_type_undef);
#else
    status = dnnl_post_ops_append_sum(post, s->accumulate_scale);
#endif
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(*attributes, post);
    dnnl_post_ops_destroy(post);
    return status;
}

static onednn_const_md query(const struct onednn_convolution *c, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(c->description, what, 0);
}

static const char *make_memories(struct onednn_convolution *c, onednn_md bias)
{
    static const dnnl_query_t what[ARGUMENTS] = {
        [SOURCE] = dnnl_query_src_md,
        [WEIGHTS] = dnnl_query_weights_md,
        [DESTINATION] = dnnl_query_dst_md,
        [WORKSPACE] = dnnl_query_scratchpad_md,
    };
    for (int i = 0; i < ARGUMENTS; i++) {
        onednn_const_md md = i == BIAS ? (onednn_const_md)MD(bias) : query(c, what[i]);
        if (dnnl_memory_create(&c->memory[i], md, engine, DNNL_MEMORY_NONE) != dnnl_success)
            return "oneDNN cannot describe its memory";
    }
    return NULL;
}

static const char *create(struct onednn_convolution *c, const struct onednn_shape *s)
{
    const char *why = start();
    if (why)
        return why;
    int axes = s->axes + 2;
    dnnl_dims_t dims[4];
    fill_dims(s, dims);
    dnnl_format_tag_t maps = axes == 4 ? dnnl_nhwc : dnnl_ndhwc;
    c->weight_axes = axes;
    memcpy(c->weight_dims, dims[WEIGHTS], sizeof c->weight_dims);

    onednn_md md[4];
    if (!make_md(&md[SOURCE], axes, dims[SOURCE], data_type(s->in_dtype), maps) ||
        !make_md(&md[WEIGHTS], axes, dims[WEIGHTS], data_type(s->in_dtype), dnnl_format_tag_any) ||
        !make_md(&md[BIAS], 1, dims[BIAS], dnnl_f32, dnnl_a) ||
        !make_md(&md[DESTINATION], axes, dims[DESTINATION], data_type(s->out_dtype), maps))
        return "oneDNN refuses the shape";

    dnnl_primitive_attr_t attributes = NULL;
    dnnl_status_t status = make_attributes(&attributes, s);
    if (status == dnnl_success)
        status = describe(&c->description, s, md, attributes);
    dnnl_primitive_attr_destroy(attributes);
    if (status != dnnl_success)
        return "oneDNN has no convolution for this shape and type";
    const char *name = "";
    dnnl_primitive_desc_query(c->description, dnnl_query_impl_info_str, 0, &name);
    if (strstr(name, "ref"))
        return "oneDNN has only its reference convolution for this shape and type";
    if (dnnl_primitive_create(&c->primitive, c->description) != dnnl_success)
        return "oneDNN cannot build the convolution";
    why = make_memories(c, md[BIAS]);
    for (int i = 0; i < 4; i++)
        free_md(&md[i]);
    return why;
}

const char *onednn_convolution_create(struct onednn_convolution **convolution,
                                      const struct onednn_shape *shape)
{
    *convolution = calloc(1, sizeof **convolution);
    if (!*convolution)
        return "out of memory";
    const char *why = create(*convolution, shape);
    if (why) {
        onednn_convolution_destroy(*convolution);
        *convolution = NULL;
    }
    return why;
}

void onednn_convolution_destroy(struct onednn_convolution *c)
{
    if (!c)
        return;
    for (int i = 0; i < ARGUMENTS; i++)
        if (c->memory[i])
            dnnl_memory_destroy(c->memory[i]);
    if (c->primitive)
        dnnl_primitive_destroy(c->primitive);
    if (c->description)
        dnnl_primitive_desc_destroy(c->description);
    free(c);
}

size_t onednn_weight_bytes(const struct onednn_convolution *c)
{
    return dnnl_memory_desc_get_size(query(c, dnnl_query_weights_md));
}

size_t onednn_workspace_bytes(const struct onednn_convolution *c)
{
    return dnnl_memory_desc_get_size(query(c, dnnl_query_scratchpad_md));
}

bool onednn_same_packing(const struct onednn_convolution *c, const struct onednn_convolution *other)
{
    return dnnl_memory_desc_equal(query(c, dnnl_query_weights_md),
                                  query(other, dnnl_query_weights_md));
}

static const char *reorder(dnnl_memory_t from, dnnl_memory_t to, onednn_const_md from_md,
                           onednn_const_md to_md)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&description, from_md, engine, to_md, engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, description);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, stream, 2, arguments);
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    return status == dnnl_success ? NULL : "oneDNN cannot pack the weights";
}

const char *onednn_pack_weights(const struct onednn_convolution *c, const float *weights,
                                void *packed)
{
    onednn_md plain;
    if (!make_md(&plain, c->weight_axes, c->weight_dims, dnnl_f32, weight_tag(c->weight_axes)))
        return "oneDNN refuses the shape of the weights";
    dnnl_memory_t from = NULL;
    const char *why = "oneDNN cannot describe the weights";
    if (dnnl_memory_create(&from, MD(plain), engine, (void *)(uintptr_t)weights) == dnnl_success &&
        dnnl_memory_set_data_handle(c->memory[WEIGHTS], packed) == dnnl_success)
        why = reorder(from, c->memory[WEIGHTS], MD(plain), query(c, dnnl_query_weights_md));
    if (from)
        dnnl_memory_destroy(from);
    free_md(&plain);
    return why;
}

const char *onednn_convolution_run(struct onednn_convolution *c, const void *source,
                                   const void *packed, const float *bias, void *destination,
                                   void *workspace)
{
    void *data[ARGUMENTS] = {(void *)(uintptr_t)source, (void *)(uintptr_t)packed,
                             (void *)(uintptr_t)bias, destination, workspace};
    static const int role[ARGUMENTS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST,
                                        DNNL_ARG_SCRATCHPAD};
    dnnl_exec_arg_t arguments[ARGUMENTS];
    for (int i = 0; i < ARGUMENTS; i++) {
        if (dnnl_memory_set_data_handle(c->memory[i], data[i]) != dnnl_success)
            return "oneDNN refuses a memory handle";
        arguments[i] = (dnnl_exec_arg_t){role[i], c->memory[i]};
    }
    if (dnnl_primitive_execute(c->primitive, stream, ARGUMENTS, arguments) != dnnl_success ||
        dnnl_stream_wait(stream) != dnnl_success)
        return "oneDNN failed in a convolution";
    return NULL;
}
