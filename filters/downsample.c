/* downsample - volumes made smaller by whole factors, such as the thumbnails of encode3d.
 *   stdin: volume (D,H,W) u1|f4    stdout: volume (D/f,H/f,W/f), same type
 *   tiff-to-tensor scan.tif | downsample -f 2 | encode3d -w nhae.safetensors > z.npy */
#include "lib/io/resize_filter.h"

static struct option_shape factor = {1, {2}};
static int method;

/* clang-format off */
static const struct option options[] = {
    {.name = "factor", .letter = 'f', .type = OPTION_SHAPE, .target = &factor,
     .argument = "F|FD,FH,FW", .meaning = "one factor, or one each along D, H and W"},
    {.name = "method", .type = OPTION_CHOICE, .target = &method, .choices = resize_methods,
     .meaning = "which input voxels an output voxel is made of"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "downsample",
    .purpose = "make volumes smaller by whole factors",
    .input = "volume (D,H,W) u1 or f4; with nearest also labels (D,H,W)",
    .output = "the same type, (D/F,H/F,W/F) rounded down",
    .operands = "[FILE...]",
    .details = "nearest takes the voxel floor(i*in/out), as the paper's thumbnails do; area takes "
               "the mean of a block of factor voxels an axis; linear is PyTorch's interpolate "
               "with align_corners=False. Values of u1 are rounded to nearest. Spacing grows with "
               "the voxels. What crop needs to undo a padding stays as it is.",
    .example = "tiff-to-tensor scan.tif | downsample -f 2 > thumbnail.npy",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    struct array in;
    struct resize_size size;
    filter_start(&filter, &program, argc, argv);
    if (factor.rank != 1 && factor.rank != 3)
        filter_fail(&filter, "--factor has %d numbers, not one or three", factor.rank);
    if (factor.rank == 1)
        factor.extent[1] = factor.extent[2] = factor.extent[0];
    while (filter_next(&filter, &in)) {
        resize_filter_expect(&filter, (enum resize_method)method, &in);
        filter_check(&filter, resize_by_factor(&size, (enum resize_method)method, in.shape,
                                               factor.extent, &filter.error));
        resize_filter(&filter, (enum resize_method)method, &in, &size);
    }
    return filter_finish(&filter);
}
