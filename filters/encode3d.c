/* encode3d - thumbnail volumes to 3-D latents.
 *   stdin: volume (D,H,W) u1|f4    stdout: latent z (D/4,4,H/4,W/4) f4, before quantization */
#include "lib/models/stage_filter.h"

#include <stdlib.h>
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

static void describe(struct array *out, const struct array *in, const struct stage *stage)
{
    array_derive(out, in);
    out->dtype = DTYPE_F32;
    out->rank = 4;
    out->shape[0] = stage->out_d;
    out->shape[1] = stage->out_c;
    out->shape[2] = stage->out_h;
    out->shape[3] = stage->out_w;
    strcpy(out->kind, "latent");
    strcpy(out->axes, "DCHW");
    for (int axis = 0; axis < 3; axis++)
        out->spacing[axis] *= (double)in->shape[2] / (double)stage->out_w;
}

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
        describe(&out, &in, &stage);
        int64_t buffers = (array_count(&in) + array_count(&out)) * (int64_t)sizeof(float);
        stage_filter_plan(&filter, &stage, network_memory(stage.network).total + buffers);
        float *volume = filter_allocate(&filter, array_count(&in), sizeof *volume);
        float *z = filter_allocate(&filter, array_count(&out), sizeof *z);
        filter_begin(&filter, &out);
        stage_filter_read_volume(&filter, &in, volume, in.shape[0]);
        filter_check(&filter, network_run(stage.network, (const void *const[]){volume},
                                          (void *const[]){z}, &filter.error));
        filter_write(&filter, z, out.shape[0]);
        filter_end(&filter);
        free(volume);
        free(z);
    }
    stage_filter_peak(&filter);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
