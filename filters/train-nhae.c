/* train-nhae - train the 3-D encoder and the latent super-resolution.
 *   files: volumes (D,H,W) u1 or f4    -o: weights */
#include "lib/training/reconstruction_options.h"

/* MODEL.md "Training", 2. */
static struct train_options train = {RECONSTRUCTION_DEFAULTS, .batch = 5};
static struct option_shape crop;

static const struct option options[] = {
    {.name = "crop",
     .type = OPTION_SHAPE,
     .target = &crop,
     .argument = "D,H,W",
     .unset = "whole volumes",
     .meaning = "what is read of a volume at a time, at a random place"},
    RECONSTRUCTION_OPTIONS,
    CODEBOOK_OPTION,
    TRAIN_OPTIONS(train),
    {0},
};

static const struct program program = {
    .name = "train-nhae",
    .purpose = "train the 3-D encoder and the latent super-resolution",
    .operands = "FILE...",
    .details =
        "A sample is a crop of a volume, flipped at random along D and W: its thumbnail is "
        "encoded, the latent stretched, and random slices of it are decoded. The 2-D networks, "
        "trained before, are frozen but for the decoder's conv_out. Start from init-weights "
        "nhae --from the trained 2-D auto-encoder. The paper's crops are "
        "256,256,256.\n\n" RECONSTRUCTION_DETAILS "\n\n" TRAIN_DETAILS,
    .example = "train-nhae -w fresh.safetensors --crop 256,256,256 --minutes 600 eyes/*.npy "
               "-o nhae.safetensors",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    filter_start(&filter, &program, argc, argv);
    if (crop.rank && crop.rank != 3)
        filter_fail(&filter, "--crop: D,H,W is expected");
    struct reconstruction_settings settings = {
        .kind = RECONSTRUCT_NHAE, .crop = {crop.extent[0], crop.extent[1], crop.extent[2]}};
    reconstruction_filter(&filter, settings, &train);
    return filter_finish(&filter);
}
