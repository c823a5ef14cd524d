/* train-decode-multislice - train the 3-D adaptors of the multi-slice decoder.
 *   files: volumes (D,H,W) u1 or f4    -o: weights */
#include "lib/training/reconstruction_options.h"

/* MODEL.md "Training", 5. */
static struct train_options train = {RECONSTRUCTION_DEFAULTS, .batch = 5};
static struct option_shape crop;
static const char *encoder;

static const struct option options[] = {
    {.name = "crop",
     .type = OPTION_SHAPE,
     .target = &crop,
     .argument = "H,W",
     .unset = "whole slices",
     .meaning = "what is read of a slice at a time, at a random place"},
    {.name = "encoder",
     .type = OPTION_STRING,
     .target = &encoder,
     .argument = "FILE",
     .required = true,
     .meaning = "weights with the trained 2-D encoder, whose latents are decoded"},
    RECONSTRUCTION_OPTIONS,
    TRAIN_OPTIONS(train),
    {0},
};

static const struct program program = {
    .name = "train-decode-multislice",
    .purpose = "train the 3-D adaptors of the multi-slice decoder",
    .operands = "FILE...",
    .details =
        "A sample is --batch neighbouring slices, a window. The encoder and the 2-D decoder are "
        "frozen; only the adaptors learn. Start from init-weights multislice --from the weights "
        "of train-nhae. The paper's crops are 256,256.\n\n" RECONSTRUCTION_DETAILS
        "\n\n" TRAIN_DETAILS,
    .example = "train-decode-multislice -w fresh.safetensors --encoder nhae.safetensors *.npy "
               "-o out.safetensors",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    filter_start(&filter, &program, argc, argv);
    if (crop.rank && crop.rank != 2)
        filter_fail(&filter, "--crop: H,W is expected");
    struct reconstruction_settings settings = {.kind = RECONSTRUCT_MULTISLICE,
                                               .crop = {0, crop.extent[0], crop.extent[1]},
                                               .encoder = encoder};
    reconstruction_filter(&filter, settings, &train);
    return filter_finish(&filter);
}
