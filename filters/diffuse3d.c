/* diffuse3d - noise to 3-D latents by the global diffusion network.
 *   stdin: noise (D',4,H',W') f4    stdout: latent z (D',4,H',W') f4 */
#include "lib/core/numbers.h"
#include "lib/core/progress.h"
#include "lib/models/sampler_options.h"
#include "lib/models/stage_filter.h"

#include <stdlib.h>
#include <string.h>

static int64_t count;
static struct option_shape shape;

static const struct option options[] = {
    {.name = "count",
     .letter = 'n',
     .type = OPTION_INT,
     .target = &count,
     .argument = "COUNT",
     .low = 1,
     .high = 1e9,
     .unset = "noise from the input",
     .meaning = "make COUNT latents from noise of the seed, as noise does, and read nothing"},
    {.name = "shape",
     .type = OPTION_SHAPE,
     .target = &shape,
     .argument = "D,C,H,W",
     .unset = "latent_shape of the weights, else 64,4,64,64",
     .meaning = "with -n: the shape of a latent"},
    SAMPLER_OPTIONS,
    NETWORK_OPTIONS,
    {0},
};

static const struct program program = {
    .name = "diffuse3d",
    .purpose = "sample 3-D latents with the global diffusion network",
    .input = "noise (D',4,H',W') f4, standard normal; with --start a latent z; nothing with -n",
    .output = "latent z (D',4,H',W') f4",
    .operands = "[FILE...]",
    .details = "D', H' and W' must be multiples of 8 (with the paper's four levels).",
    .example =
        "diffuse3d -n 4 --seed 7 -w ldm3d.safetensors > z.npy\n"
        "noise --shape 64,4,64,64 --seed 7 | diffuse3d -w ldm3d.safetensors --steps 50 > z.npy",
    .options = options,
};

static struct filter filter;
static struct denoiser *denoiser;
static struct array planned;

static void advance(void *progress)
{
    progress_advance(progress, 1);
}

static void open_denoiser(struct weights *weights, const struct stage_settings *stage,
                          const struct array *in)
{
    if (!memcmp(in->shape, planned.shape, sizeof in->shape))
        return;
    struct denoiser_settings settings = sampler_options_settings(RANDOM_NOISE, RANDOM_DIFFUSE_STEP);
    denoiser_close(denoiser);
    filter_check(&filter,
                 denoiser_open(&denoiser, weights, 3, in->shape[0], in->shape[1], in->shape[2],
                               in->shape[3], &settings, stage, &filter.error));
    planned = *in;
    stage_filter_plan(&filter, denoiser_stage(denoiser),
                      denoiser_bytes(denoiser) + 2 * array_count(in) * (int64_t)sizeof(float));
}

/* Sample one latent; input is the noise, or with --start the latent to begin from, or NULL. */
static void sample(const struct array *out, int64_t index, const float *input, float *z)
{
    struct progress progress;
    struct denoiser_batch batch = {.array = index,
                                   .slices = out->shape[0],
                                   .noise = sampler_options.start ? NULL : input,
                                   .begin = input,
                                   .advance = advance,
                                   .context = &progress};
    progress_start(&progress, program.name, "steps", denoiser_steps(denoiser),
                   filter_settings.quiet);
    filter_begin(&filter, out);
    filter_check(&filter, denoiser_run(denoiser, &batch, z, &filter.error));
    filter_write(&filter, z, out->shape[0]);
    filter_end(&filter);
    progress_finish(&progress);
}

/* Without --shape: what the weights were trained for. */
static void default_shape(const struct weights *weights)
{
    const char *text = weights_metadata_text(weights, "latent_shape");
    double extent[4] = {64, 4, 64, 64};
    if (text && numbers_parse(text, 4, extent, &filter.error))
        filter_fail(&filter, "%s: metadata latent_shape = \"%s\": %s", filter_settings.weights,
                    text, filter.error.text);
    shape.rank = 4;
    for (int i = 0; i < 4; i++)
        shape.extent[i] = (int64_t)extent[i];
}

/* The k-th latent of -n COUNT. */
static struct array own_array(int64_t k)
{
    struct array array = {.dtype = DTYPE_F32, .rank = shape.rank, .index = k, .of = count};
    memcpy(array.shape, shape.extent, sizeof array.shape);
    return array;
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (count && sampler_options.start)
        filter_fail(&filter, "--start begins from an input; -n reads none");
    if (shape.rank && shape.rank != 4)
        filter_fail(&filter, "--shape needs four extents D,C,H,W");
    struct weights *weights = stage_filter_weights(&filter);
    if (!shape.rank)
        default_shape(weights);
    struct stage_settings stage = stage_filter_settings(&filter);
    struct array in, out;
    for (int64_t k = 0; count ? k < count : filter_next(&filter, &in); k++) {
        if (count)
            in = own_array(k);
        filter_expect_latent(&filter, &in, 0);
        open_denoiser(weights, &stage, &in);
        out = in;
        out.dtype = DTYPE_F32;
        strcpy(out.kind, "latent");
        strcpy(out.axes, "DCHW");
        float *input = filter_allocate(&filter, array_count(&in), sizeof *input);
        float *z = filter_allocate(&filter, array_count(&in), sizeof *z);
        if (!count)
            filter_read_f32(&filter, input, in.shape[0]);
        sample(&out, denoiser_index(&in, k), count ? NULL : input, z);
        free(input);
        free(z);
    }
    stage_filter_peak(&filter);
    denoiser_close(denoiser);
    weights_close(weights);
    return filter_finish(&filter);
}
