/* latent-sr - quantize 3-D latents and stretch them to one latent a slice.
 *   stdin: latent z (D',4,H',W') f4    stdout: latent z_sr (8D',4,H',W') f4 */
#include "lib/models/stage_filter.h"

#include <string.h>

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

static struct filter filter;

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    struct weights *weights = stage_filter_weights(&filter);
    struct stage_settings settings = stage_filter_settings(&filter);
    struct array in, out, last = {0};
    struct stage stage = {0};
    while (filter_next(&filter, &in)) {
        filter_expect_latent(&filter, &in, 0);
        if (memcmp(in.shape, last.shape, sizeof in.shape)) {
            stage_close(&stage);
            filter_check(&filter,
                         stage_latent_sr(&stage, weights, in.shape[0], in.shape[1], in.shape[2],
                                         in.shape[3], &settings, &filter.error));
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
