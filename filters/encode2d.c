/* encode2d - each slice of a volume to its latent.
 *   stdin: volume (D,H,W) u1|f4    stdout: latent z_hr (D,4,H/8,W/8) f4, before quantization */
#include "lib/core/progress.h"
#include "lib/models/stage_filter.h"

#include <stdlib.h>
#include <string.h>

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
        if (in.shape[1] != last.shape[1] || in.shape[2] != last.shape[2]) {
            stage_close(&stage);
            filter_check(&filter, stage_encode2d(&stage, weights, 1, in.shape[1], in.shape[2],
                                                 &settings, &filter.error));
            last = in;
        }
        stage_filter_output(&out, &in, &stage, in.shape[0], false);
        int64_t pixels = array_slice_count(&in), values = array_slice_count(&out);
        stage_filter_plan(&filter, &stage,
                          network_memory(stage.network).total +
                              (pixels + values) * (int64_t)sizeof(float));
        float *slice = filter_allocate(&filter, pixels, sizeof *slice);
        float *z = filter_allocate(&filter, values, sizeof *z);
        struct progress progress;
        progress_start(&progress, program.name, "slices", in.shape[0], filter_settings.quiet);
        filter_begin(&filter, &out);
        for (int64_t i = 0; i < in.shape[0]; i++) {
            stage_filter_read_volume(&filter, &in, slice, 1);
            filter_check(&filter, network_run(stage.network, (const void *const[]){slice},
                                              (void *const[]){z}, &filter.error));
            filter_write(&filter, z, 1);
            progress_advance(&progress, 1);
        }
        filter_end(&filter);
        progress_finish(&progress);
        free(slice);
        free(z);
    }
    stage_filter_peak(&filter);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
