/* train-autoencoder2d - train the 2-D auto-encoder on slices.
 *   files: volumes (D,H,W) u1 or f4    -o: weights */
#include "lib/training/reconstruction_options.h"

/* MODEL.md "Training", 1. */
static struct train_options train = {RECONSTRUCTION_DEFAULTS, .batch = 1};

static const struct option options[] = {
    CROP_OPTION("H,W", "slice"), RECONSTRUCTION_OPTIONS, CODEBOOK_OPTION, TRAIN_OPTIONS(train), {0},
};

static const struct program program = {
    .name = "train-autoencoder2d",
    .purpose = "train the 2-D auto-encoder on slices",
    .operands = "FILE...",
    .details = "Every slice of the volumes is a sample; encoder, quantizer and decoder "
               "learn.\n\n" RECONSTRUCTION_DETAILS "\n\n" TRAIN_DETAILS,
    .example = "train-autoencoder2d -w fresh.safetensors --minutes 600 eyes/*.npy "
               "-o autoencoder2d.safetensors",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    filter_start(&filter, &program, argc, argv);
    reconstruction_filter(&filter, RECONSTRUCT_AUTOENCODER2D, &train);
    return filter_finish(&filter);
}
