/* volume-html - a volume as one page for a browser, with three linked cuts.
 *   stdin: volume (D,H,W) u1|f4    -o: an HTML page for each
 *   --overlay labels (D,H,W) u1 or surfaces (S,D,W) f4 */
#include "lib/core/progress.h"
#include "lib/io/overlay.h"
#include "lib/io/page.h"

#include <stdlib.h>
#include <string.h>

static const char *window;
static struct overlay overlay;
static struct page_settings settings = {.most = 256};

/* clang-format off */
static const struct option options[] = {
    {.name = "most", .type = OPTION_INT, .target = &settings.most, .argument = "N", .low = 1,
     .high = 2048, .meaning = "voxels of the page along an axis; longer axes are averaged"},
    {.name = "window", .type = OPTION_STRING, .target = &window, .argument = "LO,HI",
     .unset = "0,255 of u1, -1,1 of f4",
     .meaning = "values that are black and white; the page keeps 256 grays between them"},
    {.name = "overlay", .type = OPTION_STRING, .target = &overlay.path, .argument = "FILE",
     .unset = "none", .meaning = "labels (D,H,W) u1 or surfaces (S,D,W) f4 to draw over it"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "volume-html",
    .purpose = "a volume as one page for a browser, with three linked cuts",
    .input = "volume (D,H,W) u1 or f4",
    .output = "HTML",
    .operands = "[FILE...]",
    .details =
        "A click or drag in a cut moves the others; the wheel and sliders go through the slices; "
        "level and width of the window, the mean over H, spacing, metadata and history are there. "
        "The page holds all it needs and opens from a file, without a network.\n\n"
        "A page takes a byte for each of its voxels or less: phantoms of 128^3 and 256^3 take 2 "
        "and 16 MB, one of 512^3 13 MB as means on 256^3, or 109 MB with --most 512. Labels are "
        "tinted, surfaces are lines; where --most makes voxels larger, one shows the highest label "
        "it covers.\n\n"
        "Several volumes need -o FILE: -000, -001, ... goes before its extension, or FILE holds a "
        "%d or %03d. --overlay holds an array for each.",
    .example = "tiff-to-tensor eye.tif | volume-html -o eye.html\n"
               "phantom --surfaces s.npy -o eye.npy; volume-html --overlay s.npy eye.npy -o e.html",
    .options = options,
};

static struct filter filter;

/* NULL for stdout. */
static char *name_of(int64_t index, bool several)
{
    const char *output = filter_settings.output;
    char *name = NULL;
    if (output && strcmp(output, "-") != 0)
        name = filter_output_name(&filter, index, several);
    else if (several)
        filter_fail(&filter, "a second array, but stdout takes one page; use -o FILE");
    return name;
}

/* Write the page of array `index`; its name is final only when it is known whether it is alone. */
static struct page *write_page(const struct array *in, int64_t index)
{
    struct page *page;
    struct progress progress;
    struct array volume = *in;
    char *name = name_of(index, index > 0);
    filter_expect_volume(&filter, in);
    overlay_next(&overlay, in);
    array_add_history(&volume, filter.command_line);
    settings.title = basename(stream_reader_name(filter.input));
    settings.overlay = overlay.surface ? "surfaces" : overlay.path ? "labels" : NULL;
    settings.opacity = overlay_opacity(&overlay);
    if (!window)
        settings.window = window_of_volume(in->dtype);
    filter_check_output(&filter, page_open(&page, name, &volume, &settings, &filter.error));
    float *slice = filter_allocate(&filter, array_slice_count(in), sizeof *slice);
    uint8_t *label = filter_allocate(&filter, array_slice_count(in), sizeof *label);
    progress_start(&progress, program.name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read_f32(&filter, slice, 1);
        overlay_read(&overlay, label);
        filter_check_output(&filter, page_add(page, slice, label, &filter.error));
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    free(slice);
    free(label);
    free(name);
    return page;
}

static void close_page(struct page *page, int64_t index, bool several)
{
    char *name = name_of(index, several);
    filter_check_output(&filter, page_close(page, name, &filter.error));
    free(name);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    if (window && window_parse(&settings.window, window, &filter.error) < 0)
        filter_fail(&filter, "--window %s", filter.error.text);
    filter_open_input(&filter);
    stream_reader_refuse_nan(filter.input, true);
    overlay_open(&overlay, &filter);
    struct array in;
    struct page *page = NULL;
    int64_t count = 0;
    for (; filter_next(&filter, &in); count++) {
        if (page)
            close_page(page, count - 1, true);
        page = write_page(&in, count);
    }
    close_page(page, count - 1, count > 1);
    overlay_close(&overlay);
    return filter_finish(&filter);
}
