#include "kernels/cpu/convolution_data.h"
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/simd.h"

#include <stdlib.h>

/* On a padded map Winograd may take so many tiles more that products of dx alone are faster. */
static bool fold_pays(const struct operation *forward, const struct operation *mirror)
{
    struct shape dx = forward->input[0].shape, padded = mirror->output.shape;
    int64_t tiles = padded.d * convolution_rounded(padded.h, 4) * convolution_rounded(padded.w, 4);
    return winograd_suits(mirror) && 2 * tiles <= 3 * dx.d * dx.h * dx.w;
}

/* True where dx is left to the mirror: by Winograd, by lines, or with fewer products. */
static bool find_mirror(const struct operation *gradient, const struct operation *forward,
                        struct operation *mirror)
{
    if (convolution_fold_mirror(forward, mirror))
        return fold_pays(forward, mirror);
    if (!convolution_boxes_mirror(forward, mirror))
        return false;
    mirror->inputs = gradient->inputs;
    mirror->input[1] = gradient->input[1];
    mirror->convolution.residual = gradient->inputs == 2;
    return convolution_boxes_there(forward) || convolution_lines_suit(mirror) ||
           winograd_suits(mirror);
}

static const char *create_mirror(struct convolution_data *s, const struct operation *mirror,
                                 struct needs *needs)
{
    int in_place;
    const char *why = cpu_convolution.create(mirror, &s->inner, needs, &in_place);
    s->boxed = convolution_boxes_there(&s->forward);
    s->folded = s->forward.convolution.padding == PADDING_REPLICATE;
    if (!why && s->boxed)
        convolution_boxes_create(&s->boxes, &s->forward, mirror->input[0], needs);
    if (!why && s->folded)
        convolution_fold_create(&s->fold, &s->forward, mirror->output, needs);
    return why;
}

static const char *create_products(struct convolution_data *s, struct needs *needs)
{
    int64_t element = s->bf16 ? 2 : 4;
    struct convolution_axis *h = &s->map.axis[AXIS_H], *w = &s->map.axis[AXIS_W];
    if (convolution_map_create(&s->map, &s->forward))
        return "out of memory";
    s->phases = h->phases * w->phases;
    s->blocks =
        ((h->in + h->phases - 1) / h->phases * ((w->in + w->phases - 1) / w->phases) + PIXELS - 1) /
        PIXELS;
    s->depth = convolution_rounded(s->forward.output.shape.c, s->bf16 ? 2 : 1);
    s->columns = convolution_rounded(s->forward.input[0].shape.c, COLUMNS_MULTIPLE);
    s->tap_bytes = convolution_rounded(s->depth * s->columns * element, 64);
    s->desk_bytes = convolution_rounded(PIXELS * s->depth * element, 64) +
                    convolution_rounded(2 * s->depth * (int64_t)sizeof(float), 64) +
                    (PIXELS * COLUMNS + PIXELS) * (int64_t)sizeof(float);
    needs->algorithm = "direct";
    cpu_reserve(&needs->prepared, s->taps, s->tap_bytes);
    cpu_reserve(&needs->scratch, kernel_taps_scratch(s->taps, s->threads), sizeof(float));
    cpu_reserve(&needs->workspace, s->threads, s->desk_bytes);
    return NULL;
}

static void destroy(void *state)
{
    struct convolution_data *s = state;
    if (s->inner)
        cpu_convolution.destroy(s->inner);
    convolution_map_destroy(&s->map);
    free(s);
}

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    struct operation mirror;
    struct convolution_data *s = calloc(1, sizeof *s);
    if (!s)
        return "out of memory";
    const char *why = check_convolution_data(o);
    s->forward = convolution_forward(o, o->output, o->input[0]);
    *needs = (struct needs){0};
    *in_place = o->inputs == 2 ? 1 : -1;
    s->added = o->inputs == 2;
    s->threads = omp_get_max_threads();
    s->taps = convolution_taps(&o->convolution);
    s->bf16 = o->input[0].dtype == DTYPE_BF16 && o->output.dtype == DTYPE_BF16 && cpu_has_bf16() &&
              simd()->convolution->multiply_bf16;
    if (!why)
        why = find_mirror(o, &s->forward, &mirror) ? create_mirror(s, &mirror, needs)
                                                   : create_products(s, needs);
    s->wide = cpu_reserve(&needs->scratch, kernel_taps_floats(o), sizeof(float));
    if (!why &&
        (needs->prepared == SIZE_MAX || needs->scratch == SIZE_MAX || needs->workspace == SIZE_MAX))
        why = "the kernel is too large";
    *state = s;
    if (why)
        destroy(s);
    return why;
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    struct convolution_data *s = state;
    const struct kernel_packed packed = {s->bf16, s->depth, s->columns, s->tap_bytes};
    s->forward = convolution_forward(o, o->output, o->input[0]);
    s->prepared = prepared;
    struct kernel_taps kernel = kernel_taps_open(&s->forward, convolution_mix(&s->forward),
                                                 (float *)(void *)((char *)scratch + s->wide));
    kernel.of_inputs = true;
    kernel.mirrored = s->inner != NULL;
    if (s->inner)
        convolution_prepare_kernel(s->inner, &kernel, prepared, scratch);
    else
        kernel_taps_pack(&kernel, o->input[0].shape.c, o->output.shape.c, &packed, s->threads,
                         prepared, scratch);
    return NULL;
}

static const char *run_mirror(const struct convolution_data *s, const void *const *inputs,
                              void *output, void *workspace)
{
    const void *of_mirror[] = {inputs[0], s->added ? inputs[1] : NULL};
    if (s->boxed) {
        of_mirror[0] = (const char *)workspace + s->boxes.at;
#pragma omp parallel num_threads(cpu_team(s->threads, shape_count(s->boxes.s.shape)))
        convolution_boxes_run(&s->boxes, inputs[0], workspace);
    }
    if (!s->folded)
        return cpu_convolution.run(s->inner, of_mirror, output, workspace);
    const char *why =
        cpu_convolution.run(s->inner, of_mirror, (char *)workspace + s->fold.at, workspace);
    convolution_fold_run(&s->fold, of_mirror[1], output, workspace);
    return why;
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    const struct convolution_data *s = state;
    if (s->inner)
        return run_mirror(s, inputs, output, workspace);
    struct convolution_data_call call = {inputs[0], s->added ? inputs[1] : NULL, output};
    struct shape x = s->forward.input[0].shape;
    int64_t slices = x.n * x.d, units = slices * s->phases * s->blocks;
    int64_t chunks = (x.c + COLUMNS - 1) / COLUMNS;
    int team = cpu_team(s->threads, shape_count(x) * s->taps * s->depth / 64);
#pragma omp parallel for collapse(2) schedule(dynamic) num_threads(team)
    for (int64_t chunk = 0; chunk < chunks; chunk++)
        for (int64_t unit = 0; unit < units; unit++)
            convolution_data_unit(s, &call, unit / s->blocks / s->phases / x.d,
                                  unit / s->blocks / s->phases % x.d, unit / s->blocks % s->phases,
                                  unit % s->blocks, chunk,
                                  (char *)workspace + omp_get_thread_num() * s->desk_bytes);
    return NULL;
}

const struct kernel cpu_convolution_data = {create, prepare, run, destroy};
