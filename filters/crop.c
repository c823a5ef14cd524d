/* crop - a box cut out of volumes and latents; by itself, what pad added is taken off.
 *   stdin: volume (D,H,W) or latent (D,C,H,W)    stdout: the same, smaller */
#include "lib/io/filter.h"
#include "lib/io/frame.h"

#include <stdlib.h>
#include <string.h>

static struct option_shape to, from = {3, {0, 0, 0}};

/* clang-format off */
static const struct option options[] = {
    {.name = "to", .type = OPTION_SHAPE, .target = &to, .argument = "D,H,W",
     .unset = "what there was before padding", .meaning = "extents of the box"},
    {.name = "from", .type = OPTION_SHAPE, .target = &from, .argument = "D,H,W", .low = 0,
     .high = 1e15, .meaning = "where the box starts"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "crop",
    .purpose = "cut a box out of volumes and latents, or take padding off",
    .input = "volume (D,H,W) or latent (D,C,H,W), any type",
    .output = "the same with smaller D, H and W",
    .operands = "[FILE...]",
    .details = "Without --to the box ends where the array ended before it was padded, scaled as "
               "the stages since then scaled the array; an array that was never padded keeps its "
               "end.",
    .example = "decode-multislice -w multislice.safetensors z.npy | crop > eye.npy\n"
               "crop --from 32,0,0 --to 1,512,512 eye.npy > slice.npy",
    .options = options,
};

static struct filter filter;

static void describe(struct array *out, const struct array *in)
{
    char text[128];
    int64_t extent[3];
    if ((in->rank != 3 && in->rank != 4) || !strcmp(in->kind, "surfaces"))
        filter_fail(&filter, "a volume (D,H,W) or a latent (D,C,H,W) is expected, not %s %s",
                    *in->kind ? in->kind : "an array", array_describe(in, text, sizeof text));
    array_unpadded(in, extent);
    *out = *in;
    for (int i = 0; i < 3; i++) {
        int64_t *whole = &out->shape[in->rank == 4 && i > 0 ? i + 1 : i];
        int64_t end = to.rank ? *whole : extent[i];
        int64_t start = from.extent[i], length = to.rank ? to.extent[i] : end - start;
        if (start >= end || length > end - start)
            filter_fail(&filter, "a box from %lld of %lld elements does not fit %lld along %c",
                        (long long)start, (long long)length, (long long)end, "DHW"[i]);
        *whole = length;
        out->original[i] = out->padded[i] = 0;
    }
}

static void cut(const struct array *in)
{
    struct array out;
    describe(&out, in);
    int64_t planes = in->rank == 4 ? in->shape[1] : 1, size = dtype_size(in->dtype);
    const int64_t *from_plane = in->shape + in->rank - 2, *to_plane = out.shape + in->rank - 2;
    void *slice = filter_allocate(&filter, array_slice_count(in), size);
    void *smaller = filter_allocate(&filter, array_slice_count(&out), size);
    const int64_t *box = from.extent;
    int64_t last = box[0] + out.shape[0] - 1; /* held back until the input is verified */
    filter_begin(&filter, &out);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read(&filter, slice, 1);
        if (d < box[0] || d > last)
            continue;
        frame_crop(slice, planes, from_plane[0], from_plane[1], box[1], box[2], smaller,
                   to_plane[0], to_plane[1], size);
        if (d < last)
            filter_write(&filter, smaller, 1);
    }
    filter_write(&filter, smaller, 1);
    filter_end(&filter);
    free(slice);
    free(smaller);
}

int main(int argc, char **argv)
{
    struct array in;
    filter_start(&filter, &program, argc, argv);
    if (to.rank && to.rank != 3)
        filter_fail(&filter, "--to has %d extents, not the three of D,H,W", to.rank);
    if (from.rank != 3)
        filter_fail(&filter, "--from has %d numbers, not the three of D,H,W", from.rank);
    while (filter_next(&filter, &in))
        cut(&in);
    return filter_finish(&filter);
}
