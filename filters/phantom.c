/* phantom - procedural volumes of the macula with what is true of them.
 *   stdout: volume (D,H,W) u1
 *   --surfaces (6,D,W) f4, --vessels en-face map (D,W) u1, --clean volume (D,H,W) u1
 *   phantom -n 20 --shape 128,128,128 --seed 1 --surfaces surfaces.npy > volumes.npy */
#include "lib/core/progress.h"
#include "lib/io/side_output.h"
#include "lib/phantom/phantom.h"

#include <stdlib.h>
#include <string.h>

static struct option_shape shape = {.rank = 3, .extent = {512, 512, 512}};
static int64_t seed, count = 1, first;
static double fluid;
static struct side_output surfaces, vessels, clean;
static double field[3] = {6, 2, 6}; /* mm along D, H, W: that of OCTA-500 */

/* clang-format off */
static const struct option options[] = {
    {.name = "shape", .type = OPTION_SHAPE, .target = &shape, .argument = "D,H,W",
     .low = 1, .high = 16384, .meaning = "slices, rows and columns of a volume"},
    {.name = "depth", .type = OPTION_REAL, .target = &field[1], .argument = "MM", .low = 0.5,
     .high = 8, .meaning = "extent along H; the eye moves along it until its retina is within"},
    {.name = "seed", .type = OPTION_INT, .target = &seed, .argument = "S", .low = 0, .high = 9e15,
     .meaning = "seed of the random numbers"},
    {.name = "count", .letter = 'n', .type = OPTION_INT, .target = &count, .argument = "COUNT",
     .low = 1, .high = 1e9, .meaning = "how many volumes to make"},
    {.name = "first", .type = OPTION_INT, .target = &first, .argument = "INDEX", .low = 0,
     .high = 1e9, .meaning = "index of the first one"},
    {.name = "fluid", .type = OPTION_REAL, .target = &fluid, .argument = "SHARE", .low = 0,
     .high = 1, .meaning = "share of the eyes that have fluid pockets in the retina"},
    {.name = "surfaces", .type = OPTION_STRING, .target = &surfaces.path, .argument = "FILE",
     .unset = "none", .no_result = true, .meaning = "also write the layer surfaces"},
    {.name = "vessels", .type = OPTION_STRING, .target = &vessels.path, .argument = "FILE",
     .unset = "none", .no_result = true, .meaning = "also write the en-face map of the vessels"},
    {.name = "clean", .type = OPTION_STRING, .target = &clean.path, .argument = "FILE",
     .unset = "none", .no_result = true,
     .meaning = "also write the volumes without speckle and noise"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "phantom",
    .purpose = "make retinal OCT volumes with known layers and vessels",
    .output = "volume (D,H,W) u1",
    .details =
        "A field of 6x2x6 mm about the fovea, or --depth. An eye follows from the seed and its "
        "index alone, "
        "and is the same for every shape but for speckle and noise: one of a thousand can be made "
        "again with --first.\n\n"
        "Surfaces (6,D,W) f4 are row indices of ILM, IPL, OPL, ISOS, RPE and BM, as in OCTA-500; a "
        "voxel's middle has its index. The en-face map (D,W) u1 is 1 in arteries and 2 in veins.",
    .example = "phantom -n 20 --shape 128,128,128 --seed 1 > volumes.npy\n"
               "phantom --surfaces surfaces.npy --vessels vessels.npy | tensor-to-tiff -o eye.tif",
    .options = options,
};

static struct filter filter;
static struct phantom phantom;
static uint8_t *gray, *clean_gray; /* (batch, H, W) */
static float *row;                 /* (D, W), of one surface */

static void write_surfaces(const struct array *volume)
{
    struct array out = *volume;
    out.dtype = DTYPE_F32;
    out.shape[0] = SURFACES;
    out.shape[1] = volume->shape[0];
    strcpy(out.kind, "surfaces");
    strcpy(out.axes, "SDW");
    side_output_begin(&filter, &surfaces, &out);
    for (int s = 0; surfaces.path && s < SURFACES; s++) {
        surfaces_rows(phantom.top, &phantom.scan, s, row);
        side_output_write(&filter, &surfaces, row, 1);
    }
    side_output_end(&filter, &surfaces);
}

static void write_vessels(const struct array *volume)
{
    struct array out = *volume;
    out.rank = 2;
    out.shape[1] = volume->shape[2];
    strcpy(out.kind, "en-face map");
    strcpy(out.axes, "DW");
    side_output_begin(&filter, &vessels, &out);
    side_output_write(&filter, &vessels, phantom.label, out.shape[0]);
    side_output_end(&filter, &vessels);
}

static void write_volume(const struct array *volume, struct progress *progress)
{
    int64_t slices = volume->shape[0];
    filter_begin(&filter, volume);
    side_output_begin(&filter, &clean, volume);
    for (int64_t d = 0; d < slices; d += phantom.batch) {
        int64_t made = slices - d < phantom.batch ? slices - d : phantom.batch;
        phantom_slices(&phantom, d, made, gray, clean.path ? clean_gray : NULL);
        filter_write(&filter, gray, made);
        side_output_write(&filter, &clean, clean_gray, made);
        progress_advance(progress, made);
    }
    filter_end(&filter);
    side_output_end(&filter, &clean);
}

int main(int argc, char **argv)
{
    struct side_output *const side[] = {&surfaces, &vessels, &clean};
    filter_start(&filter, &program, argc, argv);
    if (shape.rank != 3)
        filter_fail(&filter, "--shape has %d extents, not the three of D,H,W", shape.rank);
    filter_check(&filter, phantom_plan(&phantom, shape.extent, field, filter_settings.memory,
                                       &filter.error));
    filter_detail(&filter, "%lld slices at a time, %.1f MiB", (long long)phantom.batch,
                  (double)phantom.bytes / (1 << 20));
    side_outputs_open(&filter, side, 3);

    struct array out = {.dtype = DTYPE_U8, .rank = 3, .kind = "volume", .axes = "DHW"};
    memcpy(out.shape, shape.extent, 3 * sizeof *out.shape);
    memcpy(out.spacing, phantom.scan.spacing, sizeof out.spacing);
    out.of = first + count;
    gray = filter_allocate(&filter, phantom.batch, array_slice_count(&out));
    clean_gray = filter_allocate(&filter, phantom.batch, array_slice_count(&out));
    row = filter_allocate(&filter, out.shape[0] * out.shape[2], sizeof *row);
    struct progress progress;
    progress_start(&progress, program.name, "slices", count * out.shape[0], filter_settings.quiet);
    for (out.index = first; out.index < out.of; out.index++) {
        phantom_begin(&phantom, (uint64_t)seed, out.index, fluid);
        write_surfaces(&out);
        write_vessels(&out);
        write_volume(&out, &progress);
    }
    progress_finish(&progress);
    side_outputs_close(&filter, side, 3);
    phantom_free(&phantom);
    free(gray);
    free(clean_gray);
    free(row);
    return filter_finish(&filter);
}
