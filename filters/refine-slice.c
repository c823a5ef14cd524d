/* refine-slice - refine the latent of each slice by the 2-D diffusion network.
 *   stdin: latent z_sr (D,4,H',W') f4    stdout: latent z_hr (D,4,H',W') f4 */
#include "lib/core/progress.h"
#include "lib/models/noise_file.h"
#include "lib/models/sampler_options.h"
#include "lib/models/stage_filter.h"

#include <stdlib.h>
#include <string.h>

static int64_t batch = 4;
static const char *noise_path, *step_noise_path;

static const struct option options[] = {
    {.name = "batch",
     .type = OPTION_INT,
     .target = &batch,
     .argument = "N",
     .low = 1,
     .high = 4096,
     .no_result = true,
     .meaning = "slices at a time; less where --memory asks for it"},
    {.name = "noise",
     .type = OPTION_STRING,
     .target = &noise_path,
     .argument = "FILE",
     .unset = "noise of the seed",
     .meaning = "initial noise, shaped like the input"},
    {.name = "step-noise",
     .type = OPTION_STRING,
     .target = &step_noise_path,
     .argument = "FILE",
     .unset = "noise of the seed",
     .meaning = "noise of each timestep (T,D,C,H,W), for ddpm and ddim with eta"},
    SAMPLER_OPTIONS,
    NETWORK_OPTIONS,
    {0},
};

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
static struct array planned;

/* Open for the largest batch up to --batch whose plan fits --memory. */
static void open_denoiser(struct weights *weights, struct stage_settings stage,
                          const struct array *in)
{
    int64_t wanted = batch < in->shape[0] ? batch : in->shape[0];
    if (wanted <= batch_slices && !memcmp(in->shape + 1, planned.shape + 1, 3 * sizeof(int64_t)))
        return;
    struct denoiser_settings settings = sampler_options_settings(RANDOM_REFINE, RANDOM_REFINE_STEP);
    int64_t slice_bytes = 2 * array_slice_count(in) * (int64_t)sizeof(float), bytes;
    for (batch_slices = wanted;; batch_slices--) {
        bool last = batch_slices == 1 || !stage.memory; /* no smaller one to try */
        denoiser_close(denoiser);
        denoiser = NULL;
        int status = denoiser_open(&denoiser, weights, 2, batch_slices, in->shape[1], in->shape[2],
                                   in->shape[3], &settings, &stage, &filter.error);
        if (last)
            filter_check(&filter, status);
        bytes = status ? INT64_MAX : denoiser_bytes(denoiser) + batch_slices * slice_bytes;
        if (last || bytes <= stage.memory)
            break;
    }
    planned = *in;
    filter_detail(&filter, "%lld slices at a time", (long long)batch_slices);
    stage_filter_plan(&filter, denoiser_stage(denoiser), bytes);
}

static void refine(const struct array *in, int64_t index, struct noise_file *noise,
                   struct noise_file *step_noise)
{
    int64_t values = array_slice_count(in);
    float *z_sr = filter_allocate(&filter, batch_slices * values, sizeof *z_sr);
    float *z_hr = filter_allocate(&filter, batch_slices * values, sizeof *z_hr);
    struct progress progress;
    progress_start(&progress, program.name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t first = 0; first < in->shape[0]; first += batch_slices) {
        int64_t left = in->shape[0] - first;
        struct denoiser_batch b = {.array = index,
                                   .first = first,
                                   .slices = left < batch_slices ? left : batch_slices,
                                   .condition = z_sr,
                                   .begin = z_sr,
                                   .noise = noise ? noise->data + first * values : NULL,
                                   .step_noise = step_noise ? step_noise->data : NULL,
                                   .all_slices = in->shape[0]};
        filter_read_f32(&filter, z_sr, b.slices);
        filter_check(&filter, denoiser_run(denoiser, &b, z_hr, &filter.error));
        filter_write(&filter, z_hr, b.slices);
        progress_advance(&progress, b.slices);
    }
    progress_finish(&progress);
    free(z_sr);
    free(z_hr);
}

/* Noise from a file: the next array of it, which must have this shape. */
static struct noise_file *next_noise(const char *path, struct noise_file *file, int rank,
                                     const int64_t *shape)
{
    if (!path)
        return NULL;
    filter_check(&filter, noise_file_next(file, path, rank, shape, &filter.error));
    return file;
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    struct weights *weights = stage_filter_weights(&filter);
    struct stage_settings stage = stage_filter_settings(&filter);
    struct noise_file noise = {0}, step_noise = {0};
    struct array in, out;
    for (int64_t k = 0; filter_next(&filter, &in); k++) {
        filter_expect_latent(&filter, &in, 0);
        open_denoiser(weights, stage, &in);
        int64_t steps[5] = {denoiser_timesteps(denoiser), in.shape[0], in.shape[1], in.shape[2],
                            in.shape[3]};
        out = in;
        out.dtype = DTYPE_F32;
        strcpy(out.kind, "latent");
        strcpy(out.axes, "DCHW");
        filter_begin(&filter, &out);
        refine(&in, denoiser_index(&in, k), next_noise(noise_path, &noise, 4, in.shape),
               next_noise(step_noise_path, &step_noise, 5, steps));
        filter_end(&filter);
    }
    noise_file_close(&noise);
    noise_file_close(&step_noise);
    stage_filter_peak(&filter);
    denoiser_close(denoiser);
    weights_close(weights);
    return filter_finish(&filter);
}
