/* tensor-view - a PNG picture of a tensor.
 *   stdin: volume, labels (D,H,W), latent (D,C,H,W), surfaces (S,D,W) or en-face map (D,W)
 *   --overlay labels (D,H,W) u1 or surfaces (S,D,W) f4
 *   stdout: PNG */
#include "lib/io/overlay.h"
#include "lib/io/png.h"
#include "lib/io/view.h"

#include <stdlib.h>
#include <string.h>

static int mode;
static bool square, row;
static const char *window;
static struct overlay overlay;
static struct option_shape at, between;
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
    {.name = "overlay", .type = OPTION_STRING, .target = &overlay.path, .argument = "FILE",
     .unset = "none", .meaning = "labels (D,H,W) u1 or surfaces (S,D,W) f4 to draw over a volume"},
    {.name = "between", .type = OPTION_SHAPE, .target = &between, .argument = "A,B", .low = 0,
     .high = 254, .unset = "all rows",
     .meaning = "en-face, from surface A of --overlay to above surface B, counted from 0"},
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
    .purpose = "a PNG picture of a tensor",
    .input = "volume or labels (D,H,W), latent (D,C,H,W), surfaces (S,D,W), en-face map (D,W)",
    .output = "PNG",
    .operands = "[FILE...]",
    .details =
        "cuts: the planes (H,W), beside it (H,D), below it (D,W) through one voxel. montage: "
        "evenly spaced slices. en-face: the mean over H, the depth of the eye. channels: a row of "
        "slices for each channel. Voxels are drawn with the proportions of their spacing.\n\n"
        "Without --window u1 volumes show 0 to 255, f4 volumes -1 to 1, the rest (each channel or "
        "surface by itself) the 1st to 99th percentile of what is shown. Labels and u1 en-face "
        "maps have colours that colour-blind eyes tell apart, seven in turn, and 0 is black.\n\n"
        "--overlay holds an array for each volume: labels tint it, surfaces are lines. With "
        "--between A,B its surfaces are where the en-face mean begins and ends, black where no "
        "voxel's middle is in between; for a slab cut the rows out by tensor-slice.\n\n"
        "Several arrays need --row, or -o FILE: -000, -001, ... goes before its extension, or FILE "
        "holds a %d or %03d.",
    .example = "tensor-view z.npy -o z.png\n"
               "tiff-to-tensor eye.tif | tensor-view --mode en-face -o eye.png\n"
               "tensor-view --overlay surfaces.npy --between 0,2 volume.npy -o inner.png",
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
    if (between.rank && (between.rank != 2 || !overlay.path))
        filter_fail(&filter, "--between takes two numbers, A,B, and surfaces as --overlay");
    if (between.rank)
        settings.mode = VIEW_EN_FACE;
}

/* What lies over the next array, or bounds its mean. */
static void take_overlay(const struct array *array)
{
    overlay_next(&overlay, array);
    settings.opacity = between.rank ? 0 : overlay_opacity(&overlay);
    for (int i = 0; i < between.rank; i++)
        settings.between[i] = overlay_surface(&overlay, between.extent[i]);
}

static struct picture draw(const struct array *array)
{
    struct view *view;
    struct picture picture;
    take_overlay(array);
    filter_check(&filter, view_begin(&view, array, &settings, &filter.error));
    float *slice = filter_allocate(&filter, array_slice_count(array), sizeof *slice);
    uint8_t *label = filter_allocate(&filter, array_slice_count(array), sizeof *label);
    for (int64_t d = 0; d < array_slices(array); d++) {
        filter_read_f32(&filter, slice, 1);
        if (settings.opacity > 0)
            overlay_read(&overlay, label);
        view_add(view, slice, label);
    }
    free(slice);
    free(label);
    filter_check(&filter, view_finish(view, &picture, &filter.error));
    return picture;
}

static void save(struct picture *picture, int64_t index, bool several)
{
    const char *output = filter_settings.output ? filter_settings.output : "-";
    char *name = NULL;
    if (strcmp(output, "-") != 0)
        name = filter_output_name(&filter, index, several);
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
    overlay_open(&overlay, &filter);
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
    overlay_close(&overlay);
    return filter_finish(&filter);
}
