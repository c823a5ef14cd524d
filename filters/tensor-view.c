/* tensor-view - a gray PNG picture of a tensor.
 *   stdin: volume, labels (D,H,W), latent (D,C,H,W), surfaces (S,D,W) or en-face map (D,W)
 *   stdout: PNG */
#include "lib/io/filter.h"
#include "lib/io/numbered.h"
#include "lib/io/png.h"
#include "lib/io/view.h"

#include <stdlib.h>
#include <string.h>

static int mode;
static bool square, row;
static const char *window;
static struct option_shape at;
static struct view_settings settings;

/* clang-format off */
static const struct option options[] = {
    {.name = "mode", .type = OPTION_CHOICE, .target = &mode, .choices = view_modes,
     .meaning = "what to show; auto is by kind: cuts of volumes and labels, channels of latents, "
                "a montage of surfaces"},
    {.name = "at", .type = OPTION_SHAPE, .target = &at, .argument = "D,H,W", .low = 0,
     .high = 1e15, .unset = "the centre",
     .meaning = "voxel that the cuts go through, counted from 0"},
    {.name = "count", .type = OPTION_INT, .target = &settings.count, .argument = "N", .low = 1,
     .high = 4096, .unset = "16, of channels 4",
     .meaning = "evenly spaced slices of a montage or of each channel"},
    {.name = "window", .type = OPTION_STRING, .target = &window, .argument = "LO,HI",
     .unset = "by kind", .meaning = "values that are black and white"},
    {.name = "square", .type = OPTION_FLAG, .target = &square,
     .meaning = "draw voxels as squares, whatever their spacing"},
    {.name = "row", .type = OPTION_FLAG, .target = &row,
     .meaning = "the pictures of all arrays side by side, as one"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-view",
    .purpose = "a gray PNG picture of a tensor",
    .input = "volume or labels (D,H,W), latent (D,C,H,W), surfaces (S,D,W), en-face map (D,W)",
    .output = "PNG",
    .operands = "[FILE...]",
    .details =
        "cuts: the planes (H,W), beside it (H,D), below it (D,W) through one voxel. montage: "
        "evenly spaced slices. en-face: the mean over H, the depth of the eye. channels: a row of "
        "slices for each channel. Voxels are drawn with the proportions of their spacing.\n\n"
        "Without --window u1 volumes show 0 to 255, f4 volumes -1 to 1, labels 0 to their highest, "
        "the rest (each channel or surface by itself) the 1st to 99th percentile of what is "
        "shown.\n\n"
        "Several arrays need --row, or -o FILE: -000, -001, ... goes before its extension, or FILE "
        "holds a %d or %03d.",
    .example = "tensor-view z.npy -o z.png\n"
               "tiff-to-tensor eye.tif | tensor-view --mode en-face -o eye.png",
    .options = options,
};

static struct filter filter;

static void parse_options(void)
{
    settings.mode = (enum view_mode)mode;
    if (at.rank != 0 && at.rank != 3)
        filter_fail(&filter, "--at takes three numbers, D,H,W");
    if (at.rank)
        settings.at = at.extent;
    settings.windowed = window != NULL;
    if (window && window_parse(&settings.window, window, &filter.error) < 0)
        filter_fail(&filter, "--window %s", filter.error.text);
}

static struct picture draw(const struct array *array)
{
    struct view *view;
    struct picture picture;
    filter_check(&filter, view_begin(&view, array, &settings, &filter.error));
    float *slice = filter_allocate(&filter, array_slice_count(array), sizeof *slice);
    for (int64_t d = 0; d < array_slices(array); d++) {
        filter_read_f32(&filter, slice, 1);
        view_add(view, slice);
    }
    free(slice);
    filter_check(&filter, view_finish(view, &picture, &filter.error));
    return picture;
}

static void save(struct picture *picture, int64_t index, bool several)
{
    const char *output = filter_settings.output ? filter_settings.output : "-";
    char *name = NULL;
    if (strcmp(output, "-") != 0)
        filter_check_output(&filter, numbered_name(&name, output, index, several, &filter.error));
    else if (several)
        filter_fail(&filter, "a second array, but stdout takes one picture; use -o FILE or --row");
    filter_check_output(&filter, png_write(name, picture, &filter.error));
    free(name);
    picture_free(picture);
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    parse_options();
    struct array in;
    struct picture picture = {0}, next;
    int64_t pictures = 0;
    while (filter_next(&filter, &in)) {
        if (picture.gray && !row)
            save(&picture, pictures++, true);
        if (square)
            memset(in.spacing, 0, sizeof in.spacing);
        next = draw(&in);
        filter_check(&filter, picture_add_beside(&picture, &next, &filter.error));
    }
    save(&picture, pictures, pictures > 0);
    return filter_finish(&filter);
}
