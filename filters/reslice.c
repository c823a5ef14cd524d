/* reslice - volumes as slices along another axis.
 *   stdin: volume or labels (D,H,W)    stdout: (H,D,W) or (W,H,D), same type
 *   reslice --along W eye.npy | octmetrics tv */
#include "lib/io/filter.h"

#include <stdlib.h>
#include <string.h>

static const char *const axes[] = {"D", "H", "W", NULL};
/* The input's axes in the order of the output's. */
static const int orders[][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0}};
static int along = 2;

/* clang-format off */
static const struct option options[] = {
    {.name = "along", .type = OPTION_CHOICE, .target = &along, .choices = axes,
     .meaning = "the axis that the output's slices follow each other on"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "reslice",
    .purpose = "cut volumes into slices along another axis",
    .input = "volume or labels (D,H,W)",
    .output = "the same: along H (H,D,W), along W (W,H,D)",
    .operands = "[FILE...]",
    .details = "Along H the slices are seen from above, along W they are B-scans at right angles "
               "to the input's. The axes of the output are called D, H and W again, so every "
               "program takes it; spacing goes with them. Twice the same restores the volume, but "
               "not what crop needs to undo a padding. A volume is held in memory.",
    .example = "reslice --along W eye.npy | octmetrics tv",
    .options = options,
};

static struct filter filter;

static struct array describe(const struct array *in, const int order[3])
{
    struct array out = *in;
    for (int i = 0; i < 3; i++) {
        out.shape[i] = in->shape[order[i]];
        out.spacing[i] = in->spacing[order[i]];
    }
    if (order[0] > 0)
        memset(out.original, 0, sizeof out.original);
    return out;
}

/* Slice i of the output from the whole input. */
static void cut(const struct array *in, const struct array *out, const int order[3],
                const char *volume, int64_t i, char *slice)
{
    int64_t size = dtype_size(in->dtype);
    int64_t stride[3] = {in->shape[1] * in->shape[2] * size, in->shape[2] * size, size};
    const char *from = volume + i * stride[order[0]];
    for (int64_t y = 0; y < out->shape[1]; y++)
        for (int64_t x = 0; x < out->shape[2]; x++) {
            memcpy(slice, from + y * stride[order[1]] + x * stride[order[2]], (size_t)size);
            slice += size;
        }
}

static void convert(const struct array *in)
{
    const int *order = orders[along];
    struct array out = describe(in, order);
    if (filter_settings.memory && array_bytes(in) > filter_settings.memory)
        filter_fail(&filter, "the volume takes %lld bytes, beyond --memory",
                    (long long)array_bytes(in));
    char *volume = filter_allocate(&filter, array_bytes(in), 1);
    char *slice = filter_allocate(&filter, array_slice_count(&out), dtype_size(out.dtype));
    filter_read(&filter, volume, in->shape[0]);
    filter_begin(&filter, &out);
    for (int64_t i = 0; i < out.shape[0]; i++) {
        cut(in, &out, order, volume, i, slice);
        filter_write(&filter, slice, 1);
    }
    filter_end(&filter);
    free(volume);
    free(slice);
}

int main(int argc, char **argv)
{
    struct array in;
    filter_start(&filter, &program, argc, argv);
    while (filter_next(&filter, &in)) {
        if (strcmp(in.kind, "labels"))
            filter_expect_volume(&filter, &in);
        else if (in.rank != 3)
            filter_fail(&filter, "labels of rank 3 are expected");
        convert(&in);
    }
    return filter_finish(&filter);
}
