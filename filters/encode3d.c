/* encode3d - thumbnail volumes to 3-D latents.
 *   stdin: volume (D,H,W) u1|f4    stdout: latent z (D/4,4,H/4,W/4) f4, before quantization */
#include "lib/models/stage_filter.h"

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

static int open_stage(struct stage *stage, struct weights *weights, const int64_t *shape,
                      const struct stage_settings *settings, struct error *error)
{
    return stage_encode3d(stage, weights, shape[0], shape[1], shape[2], settings, error);
}

int main(int argc, char **argv)
{
    return stage_filter_main(&(struct stage_filter){.program = &program, .open = open_stage}, argc,
                             argv);
}
