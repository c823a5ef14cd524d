/* downsample - volumes made smaller by whole factors, such as the thumbnails of encode3d.
 *   stdin: volume (D,H,W) u1|f4    stdout: volume (D/f,H/f,W/f), same type
 *   tiff-to-tensor scan.tif | downsample -f 2 | encode3d -w nhae.safetensors > z.npy */
#include "lib/io/filter.h"
#include "lib/io/resize.h"

#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {"nearest", "area", "linear", NULL}; /* enum resize_method */
static struct option_shape factor = {1, {2}};
static int method;

/* clang-format off */
static const struct option options[] = {
    {.name = "factor", .letter = 'f', .type = OPTION_SHAPE, .target = &factor,
     .argument = "F|FD,FH,FW", .meaning = "one factor, or one each along D, H and W"},
    {.name = "method", .type = OPTION_CHOICE, .target = &method, .choices = methods,
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

static struct filter filter;

static void expect(const struct array *in)
{
    char text[128];
    if (strcmp(in->kind, "labels")) {
        filter_expect_volume(&filter, in);
        return;
    }
    if (in->rank != 3 || in->dtype != DTYPE_U8)
        filter_fail(&filter, "labels u1 (D,H,W) are expected, not %s",
                    array_describe(in, text, sizeof text));
    if (method != RESIZE_NEAREST)
        filter_fail(&filter, "labels have no %s; use --method nearest",
                    method == RESIZE_AREA ? "mean" : "values between them");
}

static void describe(struct array *out, const struct array *in, const int64_t extent[3])
{
    *out = *in;
    out->dtype = in->dtype == DTYPE_U8 ? DTYPE_U8 : DTYPE_F32;
    for (int i = 0; i < 3; i++) {
        out->shape[i] = extent[i];
        out->spacing[i] *= method == RESIZE_AREA ? (double)factor.extent[i]
                                                 : (double)in->shape[i] / (double)extent[i];
    }
}

static void convert(const struct array *in)
{
    struct resize *resize;
    struct array out;
    filter_check(&filter, resize_open(&resize, (enum resize_method)method, in->shape, factor.extent,
                                      &filter.error));
    describe(&out, in, resize_extent(resize));
    int64_t out_count = array_slice_count(&out);
    float *slice = filter_allocate(&filter, array_slice_count(in), sizeof *slice);
    float *smaller = filter_allocate(&filter, out_count, sizeof *smaller);
    void *written = filter_allocate(&filter, out_count, dtype_size(out.dtype));
    int64_t left = out.shape[0];
    filter_begin(&filter, &out);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read_f32(&filter, slice, 1);
        resize_put(resize, slice);
        bool last = d + 1 == in->shape[0];
        while ((left > 1 || last) && resize_take(resize, smaller)) {
            if (array_from_f32(smaller, out.dtype, written, out_count))
                filter_fail(&filter, "NaN in a u1 volume");
            filter_write(&filter, written, 1);
            left--;
        }
    }
    filter_end(&filter);
    resize_close(resize);
    free(slice);
    free(smaller);
    free(written);
}

int main(int argc, char **argv)
{
    struct array in;
    filter_start(&filter, &program, argc, argv);
    if (factor.rank != 1 && factor.rank != 3)
        filter_fail(&filter, "--factor has %d numbers, not one or three", factor.rank);
    if (factor.rank == 1)
        factor.extent[1] = factor.extent[2] = factor.extent[0];
    while (filter_next(&filter, &in)) {
        expect(&in);
        convert(&in);
    }
    return filter_finish(&filter);
}
