/* train-nhae - train the 3-D encoder and the latent super-resolution.
 *   files: volumes (D,H,W) u1 or f4    -o: weights */
#include "lib/training/reconstruction_options.h"

/* MODEL.md "Training", 2. */
static struct train_options train = {RECONSTRUCTION_DEFAULTS, .batch = 5};

static const struct option options[] = {
    CROP_OPTION("D,H,W", "volume"),
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
    reconstruction_filter(&filter, RECONSTRUCT_NHAE, &train);
    return filter_finish(&filter);
}
