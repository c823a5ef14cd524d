/* encode3d - thumbnail volumes to 3-D latents.
 *   stdin: volume (D,H,W) u1|f4    stdout: latent z (D/4,4,H/4,W/4) f4, before quantization */
#include "lib/models/stage_filter.h"

#include <string.h>

static const struct option options[] = {NETWORK_OPTIONS, {0}};

static const struct program program = {
    .name = "encode3d",
    .purpose = "encode thumbnail volumes as 3-D latents",
    .input = "volume (D,H,W) u1 or f4 in [-1,1]: a thumbnail, half the extents of the full volume",
    .output = "latent z (D/4,4,H/4,W/4) f4, before quantization",
    .operands = "[FILE...]",
    .details = "The 3-D encoder of the NHAE and its 1x1 convolution. Extents must be multiples of "
               "4 (2 to the number of halvings in the weights); pad makes them so.",
    .example = "tiff-to-tensor eye.tif | downsample -f 2 | encode3d -w nhae.safetensors > z.npy",
    .options = options,
};

static struct filter filter;

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    struct weights *weights = stage_filter_weights(&filter);
    struct stage_settings settings = stage_filter_settings(&filter);
    struct array in, out, last = {0};
    struct stage stage = {0};
    while (filter_next(&filter, &in)) {
        filter_expect_volume(&filter, &in);
        if (memcmp(in.shape, last.shape, sizeof in.shape)) {
            stage_close(&stage);
            filter_check(&filter, stage_encode3d(&stage, weights, in.shape[0], in.shape[1],
                                                 in.shape[2], &settings, &filter.error));
            last = in;
        }
        stage_filter_output(&out, &in, &stage, stage.out_d, false);
        stage_filter_whole(&filter, &stage, &in, &out);
    }
    stage_filter_peak(&filter);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
