/* refine-slice - refine the latent of each slice by the 2-D diffusion network.
 *   stdin: latent z_sr (D,4,H',W') f4    stdout: latent z_hr (D,4,H',W') f4 */
#include "lib/core/progress.h"
#include "lib/engine/filling.h"
#include "lib/models/noise_file.h"
#include "lib/models/sampler_options.h"
#include "lib/models/stage_filter.h"

#include <stdlib.h>
#include <string.h>

enum { CPU_BATCH = 4 };

static int64_t batch; /* 0: not given */
static double common;
static struct noise_file noise, step_noise;

/* clang-format off */
static const struct option options[] = {
    {.name = "batch", .type = OPTION_INT, .target = &batch, .argument = "N", .low = 1,
     .high = 4096, .no_result = true, .unset = "4; on a GPU as many as fill it",
     .meaning = "slices at a time; less where --memory asks for it"},
    {.name = "noise", .type = OPTION_STRING, .target = &noise.path, .argument = "FILE",
     .unset = "noise of the seed", .meaning = "initial noise, shaped like the input"},
    {.name = "step-noise", .type = OPTION_STRING, .target = &step_noise.path, .argument = "FILE",
     .unset = "noise of the seed",
     .meaning = "noise of each timestep (T,D,C,H,W), for ddpm and ddim with eta; held in memory"},
    {.name = "common-noise", .type = OPTION_REAL, .target = &common, .argument = "X", .low = 0,
     .high = 1, .meaning = "share of the seed's noise, as variance, that all slices have in common"},
    SAMPLER_OPTIONS,
    NETWORK_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "refine-slice",
    .purpose = "refine the latent of each slice with the 2-D diffusion network",
    .input = "latent z_sr (D,4,H',W') f4, from latent-sr",
    .output = "latent z_hr (D,4,H',W') f4",
    .operands = "[FILE...]",
    .details = "Each slice is sampled by itself, conditioned on its z_sr. H' and W' must be "
               "multiples of 8 (with the paper's four levels). Leaving this stage out of the pipe "
               "is the paper's ablation.",
    .example = "refine-slice -w refiner.safetensors --steps 200 z_sr.npy > z_hr.npy",
    .options = options,
};

static struct filter filter;
static struct denoiser *denoiser;
static int64_t batch_slices; /* of the open denoiser */

/* The shape of the noise of all steps for an array. */
static void step_noise_shape(const struct array *in, int64_t shape[5])
{
    shape[0] = denoiser_timesteps(denoiser);
    memcpy(shape + 1, in->shape, 4 * sizeof *shape);
}

/* Held at the peak: the denoiser, a batch of z_sr, z_hr and noise, the noise of steps. */
static int64_t plan_bytes(const struct array *in)
{
    int64_t slice = array_slice_count(in) * (int64_t)sizeof(float), steps[5], bytes = 0;
    step_noise_shape(in, steps);
    if (step_noise.path &&
        (__builtin_mul_overflow(steps[0], slice, &bytes) ||
         __builtin_mul_overflow(bytes, steps[1], &bytes) || bytes > INT64_MAX / 2))
        filter_fail(&filter, "absurd size: noise of %lld steps", (long long)steps[0]);
    return bytes + denoiser_bytes(denoiser) + (noise.path ? 3 : 2) * batch_slices * slice;
}

/* Open for so many slices at a time. True where the plan fits --memory; *bytes is what it needs. */
static bool open_batch(struct weights *weights, const struct stage_settings *stage,
                       const struct array *in, int64_t slices, int64_t *bytes)
{
    struct denoiser_settings settings = sampler_options_settings(RANDOM_REFINE, RANDOM_REFINE_STEP);
    settings.common = common;
    denoiser_close(denoiser);
    denoiser = NULL;
    filter_check(&filter, denoiser_open(&denoiser, weights, 2, slices, in->shape[1], in->shape[2],
                                        in->shape[3], &settings, stage, &filter.error));
    batch_slices = slices;
    *bytes = plan_bytes(in);
    return !filter_settings.memory || *bytes <= filter_settings.memory;
}

/* The batch that is worth having: --batch, or as many slices as fill the device. */
static int64_t wanted_batch(struct weights *weights, const struct stage_settings *stage,
                            const struct array *in)
{
    int multiprocessors = stage->backend->multiprocessors;
    int64_t bytes;
    if (batch || !multiprocessors)
        return batch ? batch : CPU_BATCH;
    open_batch(weights, stage, in, 1, &bytes);
    return filling_slices(network_graph(denoiser_stage(denoiser)->network), 1, multiprocessors);
}

/* Open for the batch that is wanted, or the largest below it whose plan fits --memory. */
static void open_denoiser(struct weights *weights, const struct stage_settings *stage,
                          const struct array *in)
{
    static struct array planned;
    static int64_t wanted, planned_most;
    bool alike = !memcmp(in->shape + 1, planned.shape + 1, 3 * sizeof in->shape[0]);
    if (!alike)
        wanted = wanted_batch(weights, stage, in);
    int64_t slices = in->shape[0], most = wanted < slices ? wanted : slices, bytes;
    if (!batch && stage->backend->multiprocessors) { /* equal shares of them */
        int64_t calls = (slices + most - 1) / most;
        most = (slices + calls - 1) / calls;
    }
    if (alike && most <= planned_most && (!step_noise.path || slices <= planned.shape[0]))
        return;
    if (!open_batch(weights, stage, in, most, &bytes)) {
        int64_t fitting = 1, over = most; /* fitting: one at least, and then it is refused */
        while (over - fitting > 1) {
            int64_t between = fitting + (over - fitting) / 2;
            *(open_batch(weights, stage, in, between, &bytes) ? &fitting : &over) = between;
        }
        open_batch(weights, stage, in, fitting, &bytes);
    }
    planned = *in;
    planned_most = most;
    filter_detail(&filter, "%lld slices at a time", (long long)batch_slices);
    stage_filter_plan(&filter, denoiser_stage(denoiser), bytes);
}

static void refine(const struct array *in, int64_t index)
{
    int64_t values = array_slice_count(in);
    float *z_sr = filter_allocate(&filter, batch_slices * values, sizeof *z_sr);
    float *z_hr = filter_allocate(&filter, batch_slices * values, sizeof *z_hr);
    int64_t steps[5];
    step_noise_shape(in, steps);
    filter_check(&filter, noise_file_next(&noise, 4, in->shape, batch_slices, &filter.error));
    filter_check(&filter, noise_file_next(&step_noise, 5, steps, steps[0], &filter.error));
    filter_check(&filter, noise_file_read(&step_noise, steps[0], &filter.error));
    struct progress progress;
    progress_start(&progress, program.name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t first = 0; first < in->shape[0]; first += batch_slices) {
        int64_t left = in->shape[0] - first;
        struct denoiser_batch b = {.array = index,
                                   .first = first,
                                   .slices = left < batch_slices ? left : batch_slices,
                                   .condition = z_sr,
                                   .begin = z_sr,
                                   .noise = noise.data,
                                   .step_noise = step_noise.data,
                                   .all_slices = in->shape[0]};
        filter_read_f32(&filter, z_sr, b.slices);
        filter_check(&filter, noise_file_read(&noise, b.slices, &filter.error));
        filter_check(&filter, denoiser_run(denoiser, &b, z_hr, &filter.error));
        filter_write(&filter, z_hr, b.slices);
        progress_advance(&progress, b.slices);
    }
    progress_finish(&progress);
    free(z_sr);
    free(z_hr);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    struct weights *weights = stage_filter_weights(&filter);
    struct stage_settings stage = stage_filter_settings(&filter);
    struct array in, out;
    for (int64_t k = 0; filter_next(&filter, &in); k++) {
        filter_expect_latent(&filter, &in, 0);
        open_denoiser(weights, &stage, &in);
        out = in;
        out.dtype = DTYPE_F32;
        strcpy(out.kind, "latent");
        strcpy(out.axes, "DCHW");
        filter_begin(&filter, &out);
        refine(&in, denoiser_index(&in, k));
        filter_end(&filter);
    }
    noise_file_close(&noise);
    noise_file_close(&step_noise);
    stage_filter_peak(&filter);
    denoiser_close(denoiser);
    weights_close(weights);
    return filter_finish(&filter);
}
