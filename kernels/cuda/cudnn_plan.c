#include "kernels/cuda/cudnn_plan.h"
#include "kernels/cuda/cudnn_bag.h"

#include <stdlib.h>

enum {
    CANDIDATES = 24, /* engine configurations that are asked for */
    TRIED = 8,       /* of them, before the next heuristic */
    KNOBS = 48,
    NOTES = CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
};

typedef cudnnBackendDescriptor_t descriptor;

struct cudnn_plan {
    struct bag bag;
    descriptor plan;
    struct cudnn_convolution convolution;
    int64_t workspace;
    bool tensor_cores;
};

/* An engine with its settings, as cuDNN's heuristics name it for one graph. */
struct choice {
    int64_t engine, knobs;
    cudnnBackendKnobType_t knob[KNOBS];
    int64_t value[KNOBS];
    bool tensor_cores;
};

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
    int64_t notes = bag_get(bag, engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
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
    descriptor knob[KNOBS], engine = bag_new(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    for (int i = 0; i < KNOBS; i++)
        knob[i] = bag_new(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    bag_get(bag, configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
            &engine);
    bag_get(bag, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &choice->engine);
    int64_t notes = bag_get(bag, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                            CUDNN_TYPE_NUMERICAL_NOTE, NOTES, note);
    choice->tensor_cores = has_note(note, notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
    choice->knobs = bag_get(bag, configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                            CUDNN_TYPE_BACKEND_DESCRIPTOR, KNOBS, knob);
    for (int64_t i = 0; i < choice->knobs; i++) {
        bag_get(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
                &choice->knob[i]);
        bag_get(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
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
    descriptor graph = cudnn_graph_new(&bag, c, target);
    heuristic = bag_new(&bag, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    bag_set_descriptor(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    bag_set(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (target->described)
        bag_set_descriptor(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, target->described);
    bag_finalize(&bag, heuristic);
    for (int i = 0; i < CANDIDATES; i++)
        found[i] = bag_new(&bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    int64_t count = bag_get(&bag, heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                            CUDNN_TYPE_BACKEND_DESCRIPTOR, CANDIDATES, found);
    for (int64_t i = 0; i < count && bag.status == CUDNN_STATUS_SUCCESS; i++) {
        struct bag own = {.count = 0};
        choices += read_choice(&own, found[i], c->in_type == DTYPE_F32, &choice[choices]);
        bag_empty(&own);
    }
    bag_empty(&bag);
    return choices;
}

/* Make the plan of a choice; its workspace, or −1. */
static int64_t make_plan(struct cudnn_plan *p, const struct choice *choice,
                         const struct cudnn_target *target)
{
    struct bag *bag = &p->bag;
    descriptor knob[KNOBS], graph = cudnn_graph_new(bag, &p->convolution, target);
    descriptor engine = bag_new(bag, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    bag_set_descriptor(bag, engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    bag_set_integers(bag, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1, &choice->engine);
    if (target->described)
        bag_set_descriptor(bag, engine, CUDNN_ATTR_ENGINE_DEVICEPROP, target->described);
    bag_finalize(bag, engine);
    for (int64_t i = 0; i < choice->knobs; i++) {
        knob[i] = bag_new(bag, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        bag_set(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1,
                &choice->knob[i]);
        bag_set_integers(bag, knob[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 1, &choice->value[i]);
        bag_finalize(bag, knob[i]);
    }
    descriptor configuration = bag_new(bag, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    bag_set_descriptor(bag, configuration, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    bag_set(bag, configuration, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            choice->knobs, knob);
    bag_finalize(bag, configuration);
    p->plan = bag_new(bag, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    bag_set_descriptor(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (target->described)
        bag_set_descriptor(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, target->described);
    else
        bag_set(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                &target->handle);
    bag_finalize(bag, p->plan);
    int64_t bytes = -1;
    bag_get(bag, p->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes);
    return bag->status == CUDNN_STATUS_SUCCESS ? bytes : -1;
}

/* Take the first of the choices whose plan can be made. */
static bool take_first(struct cudnn_plan *p, const struct choice *choice, int choices,
                       const struct cudnn_target *target)
{
    for (int i = 0; i < choices && i < TRIED; i++) {
        p->workspace = make_plan(p, &choice[i], target);
        p->tensor_cores = choice[i].tensor_cores;
        if (p->workspace >= 0)
            return true;
        bag_empty(&p->bag);
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
    usual.n = CUDNN_CHOICE_BATCH;
    if (usual.dims == CUDNN_AXES) {
        usual.n = 1;
        usual.extent[0] = CUDNN_CHOICE_DEPTH;
        usual.front[0] = usual.kernel[0] / 2;
        usual.back[0] = (usual.kernel[0] - 1) / 2;
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
    bag_empty(&p->bag);
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

const char *cudnn_plan_run(const struct cudnn_plan *p, cudnnHandle_t handle,
                           const struct cudnn_maps *maps, void *workspace)
{
    const int64_t name[] = {CUDNN_NAME_X, CUDNN_NAME_WEIGHTS, CUDNN_NAME_Y, CUDNN_NAME_BIAS,
                            CUDNN_NAME_RESIDUAL};
    const void *all[] = {maps->x, maps->weights, maps->y, maps->bias, maps->residual};
    int64_t used[5], count = 0;
    const void *data[5];
    for (int i = 0; i < 5; i++) {
        if ((name[i] == CUDNN_NAME_BIAS && !p->convolution.bias) ||
            (name[i] == CUDNN_NAME_RESIDUAL && !p->convolution.residual))
            continue;
        used[count] = name[i];
        data[count++] = all[i];
    }
    struct bag bag = {.count = 0};
    descriptor pack = bag_new(&bag, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    bag_set_integers(&bag, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, count, used);
    bag_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, data);
    bag_set(&bag, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    bag_finalize(&bag, pack);
    if (bag.status == CUDNN_STATUS_SUCCESS)
        bag.status = cudnnBackendExecute(handle, p->plan, pack);
    bag_empty(&bag);
    return bag.status == CUDNN_STATUS_SUCCESS ? NULL : cudnnGetErrorString(bag.status);
}
