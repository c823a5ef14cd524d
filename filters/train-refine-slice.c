/* train-refine-slice - train the 2-D diffusion network that refines the latent of each slice.
 *   files: latents z_sr (D,4,H',W') f4, then as many z_hr    -o: weights */
#include "lib/training/denoising_options.h"

/* MODEL.md "Training", 4. */
static struct train_options train = {DENOISING_DEFAULTS, .batch = 16, .rate = 4.5e-6 * 64,
                                     .ema = 0.9999};

static const struct option options[] = {
    DENOISING_OPTIONS,
    TRAIN_OPTIONS(train),
    {0},
};

static const struct program program = {
    .name = "train-refine-slice",
    .purpose = "train the 2-D diffusion network that refines slices",
    .operands = "FILE...",
    .details = "The files hold latents z_sr (D,4,H',W') f4, from latent-sr, and after all of them "
               "the z_hr of the same volumes in the same order, from encode2d. Every slice is a "
               "sample.\n\n" DENOISING_DETAILS "\n\n" TRAIN_DETAILS,
    .example = "train-refine-slice -w fresh.safetensors z_sr/*.npy z_hr/*.npy "
               "-o refiner.safetensors",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    filter_start(&filter, &program, argc, argv);
    denoising_filter(&filter, 2, &train);
    return filter_finish(&filter);
}
