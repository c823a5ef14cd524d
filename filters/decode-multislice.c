/* decode-multislice - latents of slices to a volume, by windows of neighbouring slices.
 *   stdin: latent z_hr (D,4,H',W') f4    stdout: volume (D,8H',8W') f4 */
#include "lib/core/progress.h"
#include "lib/models/preset.h"
#include "lib/models/stage_filter.h"
#include "lib/models/window_decoder.h"

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
    int64_t buffers = decoder.calls * (window * array_slice_count(in) +
                                       decoder.most_kept * stage->out_h * stage->out_w);
    stage_filter_plan(&filter, stage,
                      network_memory(stage->network).total + buffers * (int64_t)sizeof(float));
}

/* What the windows under way hold, window j's at j mod decoder.calls: their latents and the slices
 * that they give, so many floats each. */
static float *latents, *slices;
static int64_t latents_count, slices_count;

static float *of_window(float *memory, int64_t count, int64_t j)
{
    return memory + j % decoder.calls * count;
}

/* Read window j, of which the one before it holds the first latents, and start it. */
static void start_window(const struct array *in, int64_t j)
{
    int64_t values = array_slice_count(in), start = windows_start(decoder.windows, j);
    int64_t read = j ? windows_start(decoder.windows, j - 1) + window : 0;
    int64_t known = read > start ? read - start : 0;
    float *z = of_window(latents, latents_count, j);
    if (j)
        memmove(z, of_window(latents, latents_count, j - 1) + (window - known) * values,
                (size_t)(known * values) * sizeof *z);
    filter_read_f32(&filter, z + known * values, window - known);
    filter_check(&filter,
                 window_decoder_start(&decoder, j, z, of_window(slices, slices_count, j),
                                      &filter.error));
}

/* Write what window j gives; returns how many slices. */
static int64_t end_window(int64_t j)
{
    int64_t count = windows_kept(decoder.windows, j).count;
    filter_check(&filter, window_decoder_finish(&decoder, &filter.error));
    filter_write(&filter, of_window(slices, slices_count, j), count);
    return count;
}

static void decode(const struct array *in, const struct array *out)
{
    int64_t count = windows_count(decoder.windows), ended = 0;
    latents_count = window * array_slice_count(in);
    slices_count = decoder.most_kept * array_slice_count(out);
    latents = stage_filter_allocate(&filter, decoder.calls * latents_count);
    slices = stage_filter_allocate(&filter, decoder.calls * slices_count);
    struct progress progress;
    progress_start(&progress, program.name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t j = 0; j <= count; j++) {
        for (; ended < j && (j == count || window_decoder_waits(&decoder, j)); ended++)
            progress_advance(&progress, end_window(ended));
        if (j < count)
            start_window(in, j);
    }
    progress_finish(&progress);
    stage_filter_free(&filter, latents);
    stage_filter_free(&filter, slices);
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
