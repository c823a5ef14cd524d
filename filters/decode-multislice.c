/* decode-multislice - latents of slices to a volume, by windows of neighbouring slices.
 *   stdin: latent z_hr (D,4,H',W') f4    stdout: volume (D,8H',8W') f4 */
#include "lib/core/progress.h"
#include "lib/models/stage_filter.h"
#include "lib/models/windows.h"

#include <stdlib.h>
#include <string.h>

static int64_t window = 5, hop = 1;

static const struct option options[] = {
    {.name = "window",
     .type = OPTION_INT,
     .target = &window,
     .argument = "K",
     .low = 1,
     .high = 64,
     .meaning = "slices that the 3-D adaptors see together"},
    {.name = "hop",
     .type = OPTION_INT,
     .target = &hop,
     .argument = "H",
     .low = 1,
     .high = 64,
     .meaning = "slices from one window to the next; 1 is the paper, more is faster"},
    NETWORK_OPTIONS,
    {0},
};

static const struct program program = {
    .name = "decode-multislice",
    .purpose = "decode latents of slices to a volume",
    .input = "latent z_hr (D,4,H',W') f4, from refine-slice, latent-sr or encode2d; D >= window",
    .output = "volume (D,8H',8W') f4, about [-1,1], not clamped",
    .operands = "[FILE...]",
    .details = "Nearest code, then the decoder with 3-D adaptors over windows of neighbouring "
               "slices. Windows start every HOP slices; each slice is taken from the window whose "
               "centre is nearest. Weights without adaptors make it the plain 2-D decoder, slice "
               "by slice, and --window and --hop have no effect.",
    .example = "decode-multislice -w multislice.safetensors z_hr.npy | tensor-to-tiff -o eye.tif",
    .options = options,
};

static struct filter filter;

/* Decode one array window by window, holding one window of latents and one of slices. */
static void decode(const struct array *in, const struct array *out, const struct stage *stage,
                   struct windows w)
{
    int64_t values = array_slice_count(in), pixels = array_slice_count(out), read = 0;
    float *z = filter_allocate(&filter, w.window * values, sizeof *z);
    float *slices = filter_allocate(&filter, w.window * pixels, sizeof *slices);
    struct progress progress;
    progress_start(&progress, program.name, "slices", w.slices, filter_settings.quiet);
    for (int64_t j = 0; j < windows_count(w); j++) {
        int64_t start = windows_start(w, j), kept = read > start ? read - start : 0;
        memmove(z, z + (w.window - kept) * values, (size_t)(kept * values) * sizeof *z);
        filter_read_f32(&filter, z + kept * values, w.window - kept);
        read = start + w.window;
        filter_check(&filter, network_run(stage->network, (const void *const[]){z},
                                          (void *const[]){slices}, &filter.error));
        int64_t first = windows_first(w, j), count = windows_first(w, j + 1) - first;
        filter_write(&filter, slices + (first - start) * pixels, count);
        progress_advance(&progress, count);
    }
    progress_finish(&progress);
    free(z);
    free(slices);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    struct weights *weights = stage_filter_weights(&filter);
    struct stage_settings settings = stage_filter_settings(&filter);
    if (!filter_check(&filter, stage_decode_has_adaptors(weights, &filter.error)))
        window = hop = 1;
    if (hop > window)
        filter_fail(&filter, "--hop %lld leaves slices between windows of %lld", (long long)hop,
                    (long long)window);
    struct array in, out, last = {0};
    struct stage stage = {0};
    while (filter_next(&filter, &in)) {
        filter_expect_latent(&filter, &in, 0);
        if (in.shape[0] < window)
            filter_fail(&filter, "%lld slices are fewer than the window of %lld",
                        (long long)in.shape[0], (long long)window);
        if (memcmp(in.shape + 1, last.shape + 1, 3 * sizeof in.shape[0])) {
            stage_close(&stage);
            filter_check(&filter, stage_decode(&stage, weights, window, in.shape[1], in.shape[2],
                                               in.shape[3], &settings, &filter.error));
            last = in;
        }
        stage_filter_output(&out, &in, &stage, in.shape[0], true);
        int64_t buffers = window * (array_slice_count(&in) + array_slice_count(&out));
        stage_filter_plan(&filter, &stage,
                          network_memory(stage.network).total + buffers * (int64_t)sizeof(float));
        filter_begin(&filter, &out);
        decode(&in, &out, &stage, (struct windows){in.shape[0], window, hop});
        filter_end(&filter);
    }
    stage_filter_peak(&filter);
    stage_close(&stage);
    weights_close(weights);
    return filter_finish(&filter);
}
