/* latent-sr - quantize 3-D latents and stretch them to one latent a slice.
 *   stdin: latent z (D',4,H',W') f4    stdout: latent z_sr (8D',4,H',W') f4 */
#include "lib/models/stage_filter.h"

#include <stdlib.h>
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

static void describe(struct array *out, const struct array *in, const struct stage *stage)
{
    array_derive(out, in);
    out->dtype = DTYPE_F32;
    out->rank = 4;
    memcpy(out->shape, in->shape, sizeof out->shape);
    out->shape[0] = stage->out_d;
    strcpy(out->kind, "latent");
    strcpy(out->axes, "DCHW");
    out->spacing[0] *= (double)in->shape[0] / (double)stage->out_d;
}

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
        describe(&out, &in, &stage);
        int64_t buffers = (array_count(&in) + array_count(&out)) * (int64_t)sizeof(float);
        stage_filter_plan(&filter, &stage, network_memory(stage.network).total + buffers);
        float *z = filter_allocate(&filter, array_count(&in), sizeof *z);
        float *z_sr = filter_allocate(&filter, array_count(&out), sizeof *z_sr);
        filter_begin(&filter, &out);
        filter_read_f32(&filter, z, in.shape[0]);
        filter_check(&filter, network_run(stage.network, (const void *const[]){z},
                                          (void *const[]){z_sr}, &filter.error));
        filter_write(&filter, z_sr, out.shape[0]);
        filter_end(&filter);
        free(z);
        free(z_sr);
    }
    stage_filter_peak(&filter);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
