#include "kernels/cuda/cudnn_graph.h"

#include <stdlib.h>
#include <string.h>

enum {
    RANK = 2 + CUDNN_AXES,
    DESCRIPTORS = 128, /* of a plan and of the choice of its engine */
    CANDIDATES = 24,   /* engine configurations that are asked for */
    TRIED = 8,         /* of them, before the next heuristic */
    KNOBS = 48,
    NOTES = CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
    MAP_ALIGNMENT = 16,
    /* Samples of a 2-D convolution, slices of a 3-D one for which the engine is chosen. */
    CHOICE_BATCH = 16,
    CHOICE_DEPTH = 16,
};

/* Names of tensors in a graph. */
enum { X = 1, WEIGHTS, Y, BIAS, RESIDUAL, PRODUCT, SUM, TENSORS };

typedef cudnnBackendDescriptor_t descriptor;

/* Descriptors that live and die together, and the first failure among calls on them. */
struct bag {
    descriptor item[DESCRIPTORS];
    int count;
    cudnnStatus_t status;
};

struct cudnn_plan {
    struct bag bag;
    descriptor plan;
    struct cudnn_convolution convolution;
    int64_t workspace, engine;
    bool tensor_cores;
};

static descriptor new_descriptor(struct bag *bag, cudnnBackendDescriptorType_t type)
{
    descriptor made = NULL;
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = bag->count < DESCRIPTORS ? cudnnBackendCreateDescriptor(type, &made)
                                               : CUDNN_STATUS_INTERNAL_ERROR;
    if (made)
        bag->item[bag->count++] = made;
    return made;
}

static void empty(struct bag *bag)
{
    while (bag->count > 0)
        cudnnBackendDestroyDescriptor(bag->item[--bag->count]);
}

static void set(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = cudnnBackendSetAttribute(d, name, type, count, values);
}

static void set_integers(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                         int64_t count, const int64_t *values)
{
    set(bag, d, name, CUDNN_TYPE_INT64, count, values);
}

static void set_descriptor(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                           descriptor value)
{
    set(bag, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finalize(struct bag *bag, descriptor d)
{
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = cudnnBackendFinalize(d);
}

static cudnnDataType_t type_of(enum dtype dtype)
{
    return dtype == DTYPE_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/* A dense channels-last tensor (n, c, axes…) in cuDNN's order of dimensions. */
static descriptor new_tensor(struct bag *bag, int64_t name, int dims, int64_t n, int64_t c,
                             const int64_t *extent, cudnnDataType_t type, bool stored)
{
    descriptor d = new_descriptor(bag, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    int64_t dimension[RANK] = {n, c}, stride[RANK], alignment = MAP_ALIGNMENT, step = c;
    bool is_virtual = !stored;
    stride[1] = 1;
    for (int axis = dims - 1; axis >= 0; axis--) {
        dimension[2 + axis] = extent[axis];
        stride[2 + axis] = step;
        step *= extent[axis];
    }
    stride[0] = step;
    set_integers(bag, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 1, &name);
    set(bag, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set_integers(bag, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1, &alignment);
    set_integers(bag, d, CUDNN_ATTR_TENSOR_DIMENSIONS, 2 + dims, dimension);
    set_integers(bag, d, CUDNN_ATTR_TENSOR_STRIDES, 2 + dims, stride);
    set(bag, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finalize(bag, d);
    return d;
}

static descriptor new_correlation(struct bag *bag, const struct cudnn_convolution *c)
{
    descriptor d = new_descriptor(bag, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dims = c->dims, dilation[CUDNN_AXES] = {1, 1, 1};
    set(bag, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    set(bag, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 1, &dims);
    set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, dims, c->front);
    set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, dims, c->back);
    set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, dims, c->stride);
    set_integers(bag, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, dims, dilation);
    finalize(bag, d);
    return d;
}

static descriptor new_forward(struct bag *bag, descriptor correlation, descriptor x, descriptor w,
                              descriptor y)
{
    descriptor d = new_descriptor(bag, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    const float one = 1, zero = 0;
    set(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, correlation);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    finalize(bag, d);
    return d;
}

static descriptor new_addition(struct bag *bag, descriptor a, descriptor b, descriptor sum)
{
    const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    descriptor add = new_descriptor(bag, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(bag, add, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(bag, add, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    finalize(bag, add);
    descriptor d = new_descriptor(bag, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, add);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_descriptor(bag, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, sum);
    finalize(bag, d);
    return d;
}

static void output_extents(const struct cudnn_convolution *c, int64_t *extent)
{
    for (int axis = 0; axis < c->dims; axis++)
        extent[axis] =
            (c->extent[axis] + c->front[axis] + c->back[axis] - c->kernel[axis]) / c->stride[axis] +
            1;
}

/* The graph conv → + residual → + bias; what lies between is f32 and never stored. */
static descriptor new_graph(struct bag *bag, const struct cudnn_convolution *c,
                            const struct cudnn_target *target)
{
    static const int64_t one[CUDNN_AXES] = {1, 1, 1};
    int64_t extent[CUDNN_AXES];
    descriptor operation[3], sum;
    int operations = 0, additions = c->bias + c->residual;
    cudnnDataType_t in = type_of(c->in_type), out = type_of(c->out_type);
    output_extents(c, extent);
    descriptor x = new_tensor(bag, X, c->dims, c->n, c->c, c->extent, in, true);
    descriptor w = new_tensor(bag, WEIGHTS, c->dims, c->out, c->c, c->kernel, in, true);
    sum = new_tensor(bag, additions ? PRODUCT : Y, c->dims, c->n, c->out, extent,
                     additions ? CUDNN_DATA_FLOAT : out, !additions);
    operation[operations++] = new_forward(bag, new_correlation(bag, c), x, w, sum);
    if (c->residual) {
        descriptor residual = new_tensor(bag, RESIDUAL, c->dims, c->n, c->out, extent, out, true);
        descriptor to = new_tensor(bag, c->bias ? SUM : Y, c->dims, c->n, c->out, extent,
                                   c->bias ? CUDNN_DATA_FLOAT : out, !c->bias);
        operation[operations++] = new_addition(bag, sum, residual, to);
        sum = to;
    }
    if (c->bias) {
        descriptor bias = new_tensor(bag, BIAS, c->dims, 1, c->out, one, out, true);
        descriptor to = new_tensor(bag, Y, c->dims, c->n, c->out, extent, out, true);
        operation[operations++] = new_addition(bag, sum, bias, to);
    }
    descriptor graph = new_descriptor(bag, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(bag, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations,
        operation);
    if (target->handle)
        set(bag, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle);
    finalize(bag, graph);
    return graph;
}

/* An engine with its settings, as cuDNN's heuristics name it for one graph. */
struct choice {
    int64_t engine, knobs;
    cudnnBackendKnobType_t knob[KNOBS];
    int64_t value[KNOBS];
    bool tensor_cores;
};

static int64_t get(struct bag *bag, descriptor d, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t room, void *values)
{
    int64_t count = 0;
    if (bag->status == CUDNN_STATUS_SUCCESS)
        bag->status = cudnnBackendGetAttribute(d, name, type, room, &count, values);
    return count < room ? count : room;
}

/* May an engine with these notes be taken for operands of the type? */
static bool suits(const cudnnBackendNumericalNote_t *note, int64_t notes, bool f32)
{
    for (int64_t i = 0; i < notes; i++) {
        bool inexact = note[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
                       note[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
        if (note[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
            note[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION || (f32 && inexact))
            return false;
    }
    return true;
}

static bool has_note(const cudnnBackendNumericalNote_t *note, int64_t notes,
                     cudnnBackendNumericalNote_t wanted)
{
    for (int64_t i = 0; i < notes; i++)
        if (note[i] == wanted)
            return true;
    return false;
}

/* Is the engine's kernel compiled when its plan is made? That takes seconds and a device. */
static bool compiles(struct bag *bag, descriptor engine)
{
    cudnnBackendBehaviorNote_t note[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t notes = get(bag, engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                        CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, note);
    for (int64_t i = 0; i < notes; i++)
        if (note[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return true;
    return false;
}

/* Read a configuration; false where its engine does not suit. */
static bool read_choice(struct bag *bag, descriptor configuration, bool f32, struct choice *choice)
{
    cudnnBackendNumericalNote_t note[NOTES];
    descriptor knob[KNOBS], engine = new_descriptor(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    for (int i = 0; i < KNOBS; i++)
        knob[i] = new_descriptor(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    get(bag, configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine);
    get(bag, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &choice->engine);
    int64_t notes =
        get(bag, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES, note);
    choice->tensor_cores = has_note(note, notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    choice->knobs = get(bag, configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                        CUDNN_TYPE_BACKEND_DESCRIPTOR, KNOBS, knob);
    for (int64_t i = 0; i < choice->knobs; i++) {
        get(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
            &choice->knob[i]);
        get(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
            &choice->value[i]);
    }
    return bag->status == CUDNN_STATUS_SUCCESS && suits(note, notes, f32) && !compiles(bag, engine);
}

/* Up to CANDIDATES choices by one heuristic for a graph, the most promising first. */
static int ask(const struct cudnn_convolution *c, const struct cudnn_target *target,
               cudnnBackendHeurMode_t mode, struct choice *choice)
{
    struct bag bag = {.count = 0};
    descriptor found[CANDIDATES], heuristic;
    int choices = 0;
    descriptor graph = new_graph(&bag, c, target);
    heuristic = new_descriptor(&bag, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_descriptor(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (target->described)
        set_descriptor(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, target->described);
    finalize(&bag, heuristic);
    for (int i = 0; i < CANDIDATES; i++)
        found[i] = new_descriptor(&bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    int64_t count = get(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                        CUDNN_TYPE_BACKEND_DESCRIPTOR, CANDIDATES, found);
    for (int64_t i = 0; i < count && bag.status == CUDNN_STATUS_SUCCESS; i++) {
        struct bag own = {.count = 0};
        choices += read_choice(&own, found[i], c->in_type == DTYPE_F32, &choice[choices]);
        empty(&own);
    }
    empty(&bag);
    return choices;
}

/* Make the plan of a choice; its workspace, or −1. */
static int64_t make_plan(struct cudnn_plan *p, const struct choice *choice,
                         const struct cudnn_target *target)
{
    struct bag *bag = &p->bag;
    descriptor knob[KNOBS], graph = new_graph(bag, &p->convolution, target);
    descriptor engine = new_descriptor(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    set_descriptor(bag, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    set_integers(bag, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1, &choice->engine);
    if (target->described)
        set_descriptor(bag, engine, CUDNN_ATTR_ENGINE_DEVICEPROP, target->described);
    finalize(bag, engine);
    for (int64_t i = 0; i < choice->knobs; i++) {
        knob[i] = new_descriptor(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        set(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
            &choice->knob[i]);
        set_integers(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 1, &choice->value[i]);
        finalize(bag, knob[i]);
    }
    descriptor configuration = new_descriptor(bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set_descriptor(bag, configuration, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    set(bag, configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
        choice->knobs, knob);
    finalize(bag, configuration);
    p->plan = new_descriptor(bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_descriptor(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (target->described)
        set_descriptor(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, target->described);
    else
        set(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle);
    finalize(bag, p->plan);
    int64_t bytes = -1;
    get(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes);
    return bag->status == CUDNN_STATUS_SUCCESS ? bytes : -1;
}

/* Take the first of the choices whose plan can be made. */
static bool take_first(struct cudnn_plan *p, const struct choice *choice, int choices,
                       const struct cudnn_target *target)
{
    for (int i = 0; i < choices && i < TRIED; i++) {
        p->workspace = make_plan(p, &choice[i], target);
        p->engine = choice[i].engine;
        p->tensor_cores = choice[i].tensor_cores;
        if (p->workspace >= 0)
            return true;
        empty(&p->bag);
        p->bag.status = CUDNN_STATUS_SUCCESS;
    }
    return false;
}

const char *cudnn_plan_create(struct cudnn_plan **plan, const struct cudnn_convolution *convolution,
                              const struct cudnn_target *target)
{
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    struct cudnn_convolution usual = *convolution;
    struct cudnn_plan *p = calloc(1, sizeof *p);
    struct choice *choice = calloc(CANDIDATES, sizeof *choice);
    bool made = false;
    usual.n = CHOICE_BATCH;
    if (usual.dims == CUDNN_AXES) {
        usual.n = 1;
        usual.extent[0] = CHOICE_DEPTH;
        usual.front[0] = usual.back[0] = usual.kernel[0] / 2;
    }
    *plan = NULL;
    if (p && choice) {
        p->convolution = *convolution;
        for (int i = 0; i < 2 && !made; i++)
            made = take_first(p, choice, ask(&usual, target, modes[i], choice), target);
    }
    free(choice);
    if (made)
        *plan = p;
    else
        free(p);
    return made ? NULL : "cuDNN has no engine for this convolution";
}

void cudnn_plan_destroy(struct cudnn_plan *p)
{
    if (!p)
        return;
    empty(&p->bag);
    free(p);
}

size_t cudnn_plan_workspace(const struct cudnn_plan *p)
{
    return (size_t)p->workspace;
}

bool cudnn_plan_uses_tensor_cores(const struct cudnn_plan *p)
{
    return p->tensor_cores;
}

int cudnn_plan_engine(const struct cudnn_plan *p)
{
    return (int)p->engine;
}

const char *cudnn_plan_run(const struct cudnn_plan *p, cudnnHandle_t handle,
                           const struct cudnn_maps *maps, void *workspace)
{
    const int64_t name[] = {X, WEIGHTS, Y, BIAS, RESIDUAL};
    const void *all[] = {maps->x, maps->weights, maps->y, maps->bias, maps->residual};
    int64_t used[5], count = 0;
    const void *data[5];
    for (int i = 0; i < 5; i++) {
        if ((name[i] == BIAS && !p->convolution.bias) ||
            (name[i] == RESIDUAL && !p->convolution.residual))
            continue;
        used[count] = name[i];
        data[count++] = all[i];
    }
    struct bag bag = {.count = 0};
    descriptor pack = new_descriptor(&bag, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set_integers(&bag, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, count, used);
    set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, data);
    set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finalize(&bag, pack);
    if (bag.status == CUDNN_STATUS_SUCCESS)
        bag.status = cudnnBackendExecute(handle, p->plan, pack);
    empty(&bag);
    return bag.status == CUDNN_STATUS_SUCCESS ? NULL : cudnnGetErrorString(bag.status);
}

const char *cudnn_target_describe(struct cudnn_target *target, const char *json)
{
    struct bag bag = {.count = 0};
    descriptor d = new_descriptor(&bag, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    set(&bag, d, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
        (int64_t)strlen(json) + 1, json);
    finalize(&bag, d);
    *target = (struct cudnn_target){.described = d};
    return bag.status == CUDNN_STATUS_SUCCESS ? NULL : cudnnGetErrorString(bag.status);
}
