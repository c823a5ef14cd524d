/* decode-multislice - latents of slices to a volume, by windows of neighbouring slices.
 *   stdin: latent z_hr (D,4,H',W') f4    stdout: volume (D,8H',8W') f4 */
#include "lib/core/progress.h"
#include "lib/models/preset.h"
#include "lib/models/stage_filter.h"
#include "lib/models/window_decoder.h"

#include <stdlib.h>
#include <string.h>

static int64_t window = 5, hop; /* 0: the preset's */
static int preset;

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
     .unset = "the preset's, at most the window",
     .meaning = "slices from one window to the next; 1 is the paper, more is faster"},
    {.name = "preset",
     .type = OPTION_CHOICE,
     .target = &preset,
     .choices = preset_names,
     .meaning = "a hop of 1, or of 3"},
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

static struct window_decoder decoder;

/* Plan for an array, unless that is done. */
static void open_decoder(struct weights *weights, const struct stage_settings *settings,
                         const struct array *in)
{
    static struct array planned;
    if (!memcmp(in->shape, planned.shape, sizeof in->shape))
        return;
    if (in->shape[0] < window)
        filter_fail(&filter, "%lld slices are fewer than the window of %lld",
                    (long long)in->shape[0], (long long)window);
    struct windows windows = {in->shape[0], window, hop};
    window_decoder_close(&decoder);
    filter_check(&filter, window_decoder_open(&decoder, weights, windows, in->shape[1],
                                              in->shape[2], in->shape[3], settings, &filter.error));
    planned = *in;
    const struct stage *stage = &decoder.stage;
    int64_t buffers =
        window * array_slice_count(in) + decoder.most_kept * stage->out_h * stage->out_w;
    stage_filter_plan(&filter, stage,
                      network_memory(stage->network).total + buffers * (int64_t)sizeof(float));
}

/* Decode one array window by window, holding the latents of one and the slices it gives. */
static void decode(const struct array *in, const struct array *out)
{
    struct windows w = decoder.windows;
    int64_t values = array_slice_count(in), pixels = array_slice_count(out), read = 0;
    float *z = filter_allocate(&filter, w.window * values, sizeof *z);
    float *slices = filter_allocate(&filter, decoder.most_kept * pixels, sizeof *slices);
    struct progress progress;
    progress_start(&progress, program.name, "slices", w.slices, filter_settings.quiet);
    for (int64_t j = 0; j < windows_count(w); j++) {
        int64_t start = windows_start(w, j), known = read > start ? read - start : 0;
        memmove(z, z + (w.window - known) * values, (size_t)(known * values) * sizeof *z);
        filter_read_f32(&filter, z + known * values, w.window - known);
        read = start + w.window;
        int64_t count = window_decoder_run(&decoder, j, z, slices, &filter.error);
        filter_check(&filter, count < 0 ? -1 : 0);
        filter_write(&filter, slices, count);
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
    if (!hop)
        hop = presets[preset].hop < window ? presets[preset].hop : window;
    if (hop > window)
        filter_fail(&filter, "--hop %lld leaves slices between windows of %lld", (long long)hop,
                    (long long)window);
    struct array in, out;
    while (filter_next(&filter, &in)) {
        filter_expect_latent(&filter, &in, 0);
        open_decoder(weights, &settings, &in);
        stage_filter_output(&out, &in, &decoder.stage, in.shape[0], true);
        filter_begin(&filter, &out);
        decode(&in, &out);
        filter_end(&filter);
    }
    stage_filter_peak(&filter);
    window_decoder_close(&decoder);
    weights_close(weights);
    return filter_finish(&filter);
}
