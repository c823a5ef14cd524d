/* pad - volumes and latents made larger at the end of each axis, so that a network takes them.
 *   stdin: volume (D,H,W) or latent (D,C,H,W)    stdout: the same, padded
 *   pad --multiple 16,64,64 scan.npy | downsample | encode3d ... | crop > eye.npy */
#include "lib/io/filter.h"
#include "lib/io/frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct option_shape multiple, to;
static double value = NAN;
static bool replicate;

/* clang-format off */
static const struct option options[] = {
    {.name = "multiple", .type = OPTION_SHAPE, .target = &multiple, .argument = "D,H,W",
     .unset = "none", .meaning = "pad to the next multiple of these extents, or of one for all"},
    {.name = "to", .type = OPTION_SHAPE, .target = &to, .argument = "D,H,W", .unset = "none",
     .meaning = "pad to these extents"},
    {.name = "value", .type = OPTION_REAL, .target = &value, .argument = "X",
     .unset = "black, or 0 in a latent", .meaning = "what the padding holds"},
    {.name = "replicate", .type = OPTION_FLAG, .target = &replicate,
     .meaning = "the padding repeats the nearest element"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "pad",
    .purpose = "make volumes and latents larger at the end of each axis",
    .input = "volume (D,H,W) or latent (D,C,H,W), any type",
    .output = "the same, with padded D, H and W",
    .operands = "[FILE...]",
    .details = "The metadata keep the extents before and after, so crop can undo the padding, "
               "also after stages that made the array larger or smaller.",
    .example = "pad --multiple 16,64,64 scan.npy | tensor-info",
    .options = options,
};

static struct filter filter;

static void check_options(void)
{
    if ((multiple.rank > 0) == (to.rank > 0))
        filter_fail(&filter, "give either --multiple or --to");
    if (replicate && !isnan(value))
        filter_fail(&filter, "give either --value or --replicate");
    if (to.rank && to.rank != 3)
        filter_fail(&filter, "--to has %d extents, not the three of D,H,W", to.rank);
    if (multiple.rank && multiple.rank != 1 && multiple.rank != 3)
        filter_fail(&filter, "--multiple has %d numbers, not one or three", multiple.rank);
    if (multiple.rank == 1)
        multiple.extent[1] = multiple.extent[2] = multiple.extent[0];
}

/* The axes of D, H and W. */
static void find_axes(const struct array *in, int axis[3])
{
    char text[128];
    if ((in->rank != 3 && in->rank != 4) || !strcmp(in->kind, "surfaces"))
        filter_fail(&filter, "a volume (D,H,W) or a latent (D,C,H,W) is expected, not %s %s",
                    *in->kind ? in->kind : "an array", array_describe(in, text, sizeof text));
    axis[0] = 0;
    axis[1] = in->rank - 2;
    axis[2] = in->rank - 1;
}

static void describe(struct array *out, const struct array *in)
{
    int axis[3];
    int64_t unpadded[3];
    find_axes(in, axis);
    array_unpadded(in, unpadded);
    *out = *in;
    bool padded = false;
    for (int i = 0; i < 3; i++) {
        int64_t extent = in->shape[axis[i]], more = 0;
        if (to.rank)
            more = to.extent[i] - extent;
        else if (extent % multiple.extent[i])
            more = multiple.extent[i] - extent % multiple.extent[i];
        if (more < 0)
            filter_fail(&filter, "--to %lld is less than the %lld along %c; crop makes smaller",
                        (long long)to.extent[i], (long long)extent, "DHW"[i]);
        out->shape[axis[i]] = extent + more;
        padded |= out->shape[axis[i]] != unpadded[i];
    }
    for (int i = 0; i < 3; i++) {
        out->original[i] = padded ? unpadded[i] : 0;
        out->padded[i] = padded ? out->shape[axis[i]] : 0;
    }
    filter_check(&filter, array_check(out, &filter.error));
}

/* One element of padding, of the array's type. */
static void set_fill(const struct array *in, void *fill)
{
    bool real = in->dtype == DTYPE_F32 || in->dtype == DTYPE_F16 || in->dtype == DTYPE_F64;
    double black = in->rank == 3 && real ? -1 : 0;
    array_from_f64(isnan(value) ? &black : &value, in->dtype, fill, 1);
}

int main(int argc, char **argv)
{
    struct array in, out;
    filter_start(&filter, &program, argc, argv);
    check_options();
    while (filter_next(&filter, &in)) {
        describe(&out, &in);
        int64_t planes = in.rank == 4 ? in.shape[1] : 1, size = dtype_size(in.dtype);
        const int64_t *from_plane = in.shape + in.rank - 2, *to_plane = out.shape + in.rank - 2;
        double fill;
        set_fill(&in, &fill);
        void *slice = filter_allocate(&filter, array_slice_count(&in), size);
        void *larger = filter_allocate(&filter, array_slice_count(&out), size);
        filter_begin(&filter, &out);
        for (int64_t d = 0; d < in.shape[0]; d++) {
            filter_read(&filter, slice, 1);
            frame_pad(slice, planes, from_plane[0], from_plane[1], larger, to_plane[0], to_plane[1],
                      replicate ? NULL : &fill, size);
            filter_write(&filter, larger, 1);
        }
        if (!replicate)
            frame_fill(larger, array_slice_count(&out), &fill, size);
        for (int64_t d = in.shape[0]; d < out.shape[0]; d++)
            filter_write(&filter, larger, 1);
        filter_end(&filter);
        free(slice);
        free(larger);
    }
    return filter_finish(&filter);
}
