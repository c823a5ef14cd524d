/* train-diffuse3d - train the 3-D diffusion network that makes latents of whole volumes.
 *   files: latents z (D',4,H',W') f4    -o: weights */
#include "lib/training/denoising_options.h"

/* MODEL.md "Training", 3. */
static struct train_options train = {DENOISING_DEFAULTS, .batch = 1, .rate = 1.8e-5};

static const struct option options[] = {
    DENOISING_OPTIONS,
    TRAIN_OPTIONS(train),
    {0},
};

static const struct program program = {
    .name = "train-diffuse3d",
    .purpose = "train the 3-D diffusion network that makes latents of whole volumes",
    .operands = "FILE...",
    .details = "The files hold latents z (D',4,H',W') f4 of one shape, from encode3d; each is a "
               "sample.\n\n" DENOISING_DETAILS "\n\n" TRAIN_DETAILS,
    .example = "train-diffuse3d -w fresh.safetensors --minutes 600 z/*.npy -o ldm3d.safetensors",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    filter_start(&filter, &program, argc, argv);
    denoising_filter(&filter, 3, &train);
    return filter_finish(&filter);
}
