#include "kernels/cpu/convolution.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <math.h>
#include <stdlib.h>

const char *convolution_open(struct convolution_state *s, const struct operation *operation,
                             bool slicewise, struct needs *needs)
{
    const char *why = check_convolution(operation);
    if (why)
        return why;
    *s = (struct convolution_state){.operation = *operation};
    s->bf16 = operation->input[0].dtype == DTYPE_BF16 && cpu_has_bf16() &&
              simd()->convolution->multiply_bf16;
    s->threads = omp_get_max_threads();
    return convolution_measure(s, slicewise, needs);
}

float convolution_mix(const struct operation *operation)
{
    float mix;
    if (!operation->convolution.mix)
        return 1;
    weight_to_f32(&operation->weight[2], 0, 1, &mix);
    return 1.0f / (1.0f + expf(-mix));
}

static const char *create(const struct operation *operation, void **state, struct needs *needs,
                          int *in_place)
{
    struct convolution_state s;
    const char *why = convolution_open(&s, operation, false, needs);
    if (why)
        return why;
    *in_place = operation->convolution.residual ? 1 : -1;
    *state = cpu_keep(&s, sizeof s);
    if (!*state)
        winograd_destroy(s.winograd);
    return *state ? NULL : "out of memory";
}

static void destroy(void *state)
{
    winograd_destroy(((struct convolution_state *)state)->winograd);
    free(state);
}

void convolution_prepare(struct convolution_state *s, void *prepared, void *scratch)
{
    s->prepared = prepared;
    s->alpha = convolution_mix(&s->operation);
    s->beta = s->operation.convolution.mix ? 1 - s->alpha : 1;
    struct kernel_taps kernel =
        kernel_taps_open(&s->operation, s->alpha, (float *)(void *)((char *)scratch + s->wide));
    convolution_pack(s, &kernel, prepared, scratch);
}

void convolution_prepare_kernel(struct convolution_state *s, const struct kernel_taps *kernel,
                                void *prepared, void *scratch)
{
    s->prepared = prepared;
    s->alpha = s->beta = 1;
    convolution_pack(s, kernel, prepared, scratch);
}

static const char *prepare(void *state, const struct operation *operation, void *prepared,
                           void *scratch)
{
    struct convolution_state *s = state;
    s->operation = *operation;
    convolution_prepare(s, prepared, scratch);
    return NULL;
}

static int64_t blocks_of(int64_t count, int64_t block)
{
    return (count + block - 1) / block;
}

/* Neighbouring units read the same weights. */
void convolution_slices(const struct convolution_state *s, const struct convolution_maps *maps,
                        int64_t first, int64_t count, void *workspace)
{
    struct shape out = s->operation.output.shape;
    bool lines = s->way != BY_TAPS;
    int64_t row = lines ? blocks_of(out.w, PIXELS) : 1;
    int64_t blocks = lines ? out.h * row : blocks_of(out.h * out.w, PIXELS);
    int64_t units = (lines ? 1 : blocks_of(s->columns, COLUMNS)) * count * blocks;
    int64_t work = count * out.h * out.w * s->columns * s->taps * s->depth;
#pragma omp parallel for schedule(dynamic) num_threads(cpu_team(s->threads, work / 64))
    for (int64_t unit = 0; unit < units; unit++) {
        int64_t block = unit % blocks, slice = first + unit / blocks % count;
        char *desk = (char *)workspace + omp_get_thread_num() * s->desk_bytes;
        if (lines)
            convolution_lines_unit(s, maps, slice / out.d, slice % out.d, block / row,
                                   block % row * PIXELS, desk);
        else
            convolution_unit(s, maps, slice / out.d, slice % out.d, block * PIXELS,
                             unit / blocks / count, desk);
    }
}

/* The first slice of the residual that is added. */
static const void *residual_of(const struct convolution_state *s, const void *input)
{
    const struct operation *o = &s->operation;
    return (const char *)input +
           o->convolution.residual_slice * (tensor_bytes(o->input[1]) / o->input[1].shape.d);
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_state *s = state;
    const void *residual = s->operation.convolution.residual ? residual_of(s, inputs[1]) : NULL;
    if (s->winograd) {
        winograd_run(s->winograd, &(struct winograd_call){
                                      .input = inputs[0],
                                      .residual = residual,
                                      .beta = s->beta,
                                      .bias = (const void *)(s->prepared + s->bias),
                                      .weights = s->prepared,
                                      .output = output,
                                      .workspace = workspace,
                                  });
        return NULL;
    }
    struct shape out = s->operation.output.shape;
    convolution_slices(s, &(struct convolution_maps){inputs[0], residual, output}, 0, out.n * out.d,
                       workspace);
    return NULL;
}

const struct kernel cpu_convolution = {create, prepare, run, destroy};
