/* encode2d - each slice of a volume to its latent.
 *   stdin: volume (D,H,W) u1|f4    stdout: latent z_hr (D,4,H/8,W/8) f4, before quantization */
#include "lib/models/stage_filter.h"

static const struct option options[] = {NETWORK_OPTIONS, {0}};

static const struct program program = {
    .name = "encode2d",
    .purpose = "encode each slice of a volume as a latent",
    .input = "volume (D,H,W) u1 or f4 in [-1,1], at full resolution",
    .output = "latent z_hr (D,4,H/8,W/8) f4, before quantization",
    .operands = "[FILE...]",
    .details = "The auxiliary 2-D encoder and its 1x1 convolution: what the slice refiner learns "
               "to make. H and W must be multiples of 8 (with the paper's four levels).",
    .example = "tiff-to-tensor eye.tif | encode2d -w nhae.safetensors > z_hr.npy",
    .options = options,
};

static int open_stage(struct stage *stage, struct weights *weights, const int64_t *shape,
                      const struct stage_settings *settings, struct error *error)
{
    return stage_encode2d(stage, weights, shape[0], shape[1], shape[2], settings, error);
}

int main(int argc, char **argv)
{
    return stage_filter_main(
        &(struct stage_filter){.program = &program, .slicewise = true, .open = open_stage}, argc,
        argv);
}
