/* train-autoencoder2d - train the 2-D auto-encoder on slices.
 *   files: volumes (D,H,W) u1 or f4    -o: weights */
#include "lib/training/reconstruction_options.h"

/* MODEL.md "Training", 1. */
static struct train_options train = {RECONSTRUCTION_DEFAULTS, .batch = 1};
static struct option_shape crop;

static const struct option options[] = {
    {.name = "crop",
     .type = OPTION_SHAPE,
     .target = &crop,
     .argument = "H,W",
     .unset = "whole slices",
     .meaning = "what is read of a slice at a time, at a random place"},
    RECONSTRUCTION_OPTIONS,
    CODEBOOK_OPTION,
    TRAIN_OPTIONS(train),
    {0},
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
    if (crop.rank && crop.rank != 2)
        filter_fail(&filter, "--crop: H,W is expected");
    struct reconstruction_settings settings = {.kind = RECONSTRUCT_AUTOENCODER2D,
                                               .crop = {0, crop.extent[0], crop.extent[1]}};
    reconstruction_filter(&filter, settings, &train);
    return filter_finish(&filter);
}
