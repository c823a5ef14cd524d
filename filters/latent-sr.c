/* latent-sr - quantize 3-D latents and stretch them to one latent a slice.
 *   stdin: latent z (D',4,H',W') f4    stdout: latent z_sr (8D',4,H',W') f4 */
#include "lib/models/stage_filter.h"

static const struct option options[] = {NETWORK_OPTIONS, {0}};

static const struct program program = {
    .name = "latent-sr",
    .purpose = "quantize 3-D latents and stretch them to one latent a slice",
    .input = "latent z (D',4,H',W') f4, from encode3d or diffuse3d",
    .output = "latent z_sr (8D',4,H',W') f4, one for each slice of the full volume",
    .operands = "[FILE...]",
    .details = "Nearest code of the 3-D codebook, latent uniaxial super-resolution, and the 1x1 "
               "convolution to the 2-D latent space. Always computed in fp32: the work is small "
               "and a code is all or nothing.",
    .example = "latent-sr -w nhae.safetensors z.npy > z_sr.npy",
    .options = options,
};

static int open_stage(struct stage *stage, struct weights *weights, const int64_t *shape,
                      const struct stage_settings *settings, struct error *error)
{
    return stage_latent_sr(stage, weights, shape[0], shape[1], shape[2], shape[3], settings, error);
}

int main(int argc, char **argv)
{
    return stage_filter_main(
        &(struct stage_filter){.program = &program, .latent = true, .open = open_stage}, argc,
        argv);
}
