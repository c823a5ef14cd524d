/* resize - volumes of other extents.
 *   stdin: volume (D,H,W) u1|f4    stdout: volume of the extents --to, same type
 *   resize --to 512,512,512 scan.npy > volume.npy */
#include "lib/io/resize_filter.h"

static struct option_shape to;
static int method = RESIZE_LINEAR;

/* clang-format off */
static const struct option options[] = {
    {.name = "to", .type = OPTION_SHAPE, .target = &to, .argument = "D,H,W", .low = 1, .high = 16384,
     .required = true, .meaning = "extents of the output"},
    {.name = "method", .type = OPTION_CHOICE, .target = &method, .choices = resize_methods,
     .meaning = "which input voxels an output voxel is made of"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "resize",
    .purpose = "give volumes other extents",
    .input = "volume (D,H,W) u1 or f4; with nearest also labels (D,H,W)",
    .output = "the same type, of the extents --to",
    .operands = "[FILE...]",
    .details = "The methods are those of PyTorch's interpolate with a given size: linear with "
               "align_corners=False, which takes two voxels an axis whatever the scale; area, the "
               "mean of the voxels that an output voxel covers or touches; nearest, the voxel "
               "floor(i*in/out). To make volumes much smaller, take area. Values of u1 are rounded "
               "to nearest. The field of view stays, so spacing changes with the extents.",
    .example = "resize --to 512,512,512 scan.npy > volume.npy",
    .options = options,
};

int main(int argc, char **argv)
{
    struct filter filter;
    struct array in;
    filter_start(&filter, &program, argc, argv);
    if (to.rank != 3)
        filter_fail(&filter, "--to has %d extents, not the three of D,H,W", to.rank);
    while (filter_next(&filter, &in)) {
        resize_filter_expect(&filter, (enum resize_method)method, &in);
        struct resize_size size;
        for (int i = 0; i < 3; i++) {
            size.in[i] = size.used[i] = in.shape[i];
            size.out[i] = to.extent[i];
        }
        resize_filter(&filter, (enum resize_method)method, &in, &size);
    }
    return filter_finish(&filter);
}
