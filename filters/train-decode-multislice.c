/* train-decode-multislice - train the 3-D adaptors of the multi-slice decoder.
 *   files: volumes (D,H,W) u1 or f4    -o: weights */
#include "lib/training/reconstruction_options.h"

/* MODEL.md "Training", 5. */
static struct train_options train = {RECONSTRUCTION_DEFAULTS, .batch = 5};

static const struct option options[] = {
    CROP_OPTION("H,W", "slice"),
    {.name = "encoder",
     .type = OPTION_STRING,
     .target = &reconstruction_options.settings.encoder,
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
    reconstruction_filter(&filter, RECONSTRUCT_MULTISLICE, &train);
    return filter_finish(&filter);
}
