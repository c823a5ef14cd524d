#include "kernels/cuda/convolution_phases.h"

#include <stdlib.h>

struct convolution_phase convolution_phase(const struct operation *o, int phase)
{
    struct convolution_phase p = {{false}, {0}};
    for (int a = 0; a < AXES; a++) {
        p.upsampled[a] = o->convolution.upsampled[a];
        p.bit[a] = p.upsampled[a] ? phase & 1 : 0;
        phase >>= p.upsampled[a];
    }
    return p;
}

/* The convolution that makes a phase. */
static struct operation phase_of(const struct operation *o, int phase)
{
    struct operation p = *o;
    struct convolution_phase of = convolution_phase(o, phase);
    int64_t *extent[AXES] = {&p.output.shape.d, &p.output.shape.h, &p.output.shape.w};
    for (int a = 0; a < AXES; a++) {
        if (!of.upsampled[a])
            continue;
        p.convolution.upsampled[a] = false;
        p.convolution.kernel[a] = 2;
        p.convolution.pad_front[a] = 1 - of.bit[a];
        p.convolution.pad_back[a] = of.bit[a];
        *extent[a] /= 2;
    }
    return p;
}

/* How many phases there are; 0: the convolution is not of the kind. */
static int count_phases(const struct operation *o)
{
    const struct convolution *c = &o->convolution;
    int phases = 1;
    for (int a = 0; a < AXES; a++) {
        bool around =
            c->kernel[a] == 3 && c->pad_front[a] == 1 && c->pad_back[a] == 1 && c->stride[a] == 1;
        if (c->upsampled[a] && !around)
            return 0;
        phases <<= c->upsampled[a];
    }
    bool plain = !c->residual && !c->mix && c->parts == 1 && c->padding == PADDING_ZERO;
    return phases > 1 && plain && !convolution_product(o).skip ? phases : 0;
}

/* Rounds of tiles on all multiprocessors, times the taps of each: the time of a convolution. */
static int64_t rounds(const struct operation *o)
{
    struct cudnn_convolution of = convolution_product(o).of;
    struct shape s = o->output.shape;
    int64_t samples = of.dims == CUDNN_AXES ? s.d : CUDNN_CHOICE_BATCH;
    int64_t positions = samples * s.h * s.w;
    int64_t tiles = (positions + TILE_POSITIONS - 1) / TILE_POSITIONS *
                    ((s.c + TILE_CHANNELS - 1) / TILE_CHANNELS);
    int64_t multiprocessors = cuda_device()->multiprocessors;
    return (tiles + multiprocessors - 1) / multiprocessors * convolution_taps(&o->convolution);
}

static bool open_plans(struct convolution_phases *s)
{
    s->tensor_cores = true;
    for (int i = 0; i < s->phases; i++) {
        struct operation phase = phase_of(&s->forward, i);
        struct convolution_product product = convolution_product(&phase);
        product.of.bias = true;
        if (product.gathers || cudnn_plan_create(&s->plan[i], &product.of, &cuda_device()->target))
            return false;
        s->tensor_cores &= cudnn_plan_uses_tensor_cores(s->plan[i]);
    }
    return true;
}

static void reserve(struct convolution_phases *s, struct needs *needs)
{
    const struct operation *o = &s->forward;
    struct operation phase = phase_of(o, 0);
    int64_t products = o->output.shape.c * o->input[0].shape.c, most = 0;
    int64_t size = dtype_size(o->output.dtype);
    s->map = phase.output.shape;
    s->kernel_bytes = products * convolution_taps(&phase.convolution) * size;
    cuda_reserve(&needs->prepared, s->phases, s->kernel_bytes);
    s->bias = cuda_reserve(&needs->prepared, o->output.shape.c, size);
    for (int i = 0; i < s->phases; i++)
        if ((int64_t)cudnn_plan_workspace(s->plan[i]) > most)
            most = (int64_t)cudnn_plan_workspace(s->plan[i]);
    cuda_reserve(&needs->workspace, shape_count(s->map), size);
    s->plan_workspace = cuda_reserve(&needs->workspace, most, 1);
    cuda_reserve(&needs->scratch, (int64_t)convolution_scratch(o), 1);
    s->unfolded =
        cuda_reserve(&needs->scratch, products * convolution_taps(&o->convolution), sizeof(float));
}

const char *convolution_phases_create(struct convolution_phases **phases, const struct operation *o,
                                      struct needs *needs)
{
    int count = count_phases(o);
    struct operation first = phase_of(o, 0);
    *phases = NULL;
    if (!count || count * rounds(&first) >= rounds(o))
        return NULL;
    struct convolution_phases *s = calloc(1, sizeof *s);
    if (!s)
        return "out of memory";
    s->forward = *o;
    s->phases = count;
    if (!open_plans(s)) {
        convolution_phases_destroy(s);
        return NULL;
    }
    reserve(s, needs);
    needs->algorithm = s->tensor_cores ? "cuDNN, tensor cores, phases" : "cuDNN, phases";
    *phases = s;
    return NULL;
}

void convolution_phases_destroy(struct convolution_phases *s)
{
    for (int i = 0; s && i < s->phases; i++)
        cudnn_plan_destroy(s->plan[i]);
    free(s);
}

const char *convolution_phases_prepare(struct convolution_phases *s, const struct operation *o,
                                       char *prepared, char *scratch)
{
    char *unfolded = scratch + s->unfolded, *bias = prepared + s->bias;
    int64_t out = o->output.shape.c, c = o->input[0].shape.c;
    s->prepared = prepared;
    const char *why = convolution_pack_kernels(o, c, DTYPE_F32, NULL, unfolded, scratch);
    for (int i = 0; i < s->phases && !why; i++)
        why = convolution_fold_kernels(o, i, (const float *)(void *)unfolded,
                                       prepared + i * s->kernel_bytes);
    if (!why && o->weight[1].rank)
        return cuda_pack_vector(&o->weight[1], out, o->output.dtype, NULL, bias, scratch);
    size_t bytes = (size_t)(out * dtype_size(o->output.dtype));
    return why ? why : cuda_error(cudaMemsetAsync(bias, 0, bytes, cuda_device()->stream));
}

const char *convolution_phases_run(const struct convolution_phases *s, const void *input,
                                   void *output, char *workspace)
{
    const char *why = NULL;
    for (int i = 0; i < s->phases && !why; i++) {
        why = cudnn_plan_run(s->plan[i], cuda_device()->target.handle,
                             &(struct cudnn_maps){
                                 .x = input,
                                 .weights = s->prepared + i * s->kernel_bytes,
                                 .bias = s->prepared + s->bias,
                                 .y = workspace,
                             },
                             workspace + s->plan_workspace);
        if (!why)
            why = convolution_place_phase(s, i, workspace, output);
    }
    return why;
}
