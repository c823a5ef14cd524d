/* flip - arrays in reverse order along D, H or W.
 *   stdin: volume, latent, labels, surfaces or en-face map    stdout: the same
 *   flip --axes D,W scan.npy > flipped.npy */
#include "lib/io/filter.h"
#include "lib/io/frame.h"

#include <stdlib.h>
#include <string.h>

static const char *axes;

/* clang-format off */
static const struct option options[] = {
    {.name = "axes", .type = OPTION_STRING, .target = &axes, .argument = "AXES", .required = true,
     .meaning = "which ones: D, H, W, or several of them, such as D,W"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "flip",
    .purpose = "reverse arrays along axes",
    .input = "volume or labels (D,H,W), latent (D,C,H,W), surfaces (S,D,W), en-face map (D,W)",
    .output = "the same in reverse order along the axes",
    .operands = "[FILE...]",
    .details =
        "Volumes and their labels are flipped alike, so they still fit. The array is held in "
        "memory when its first axis is flipped, else a slice. Padded arrays are refused where "
        "padding would come to lie in front; crop them first. A flipped latent is not the latent "
        "of a flipped volume.",
    .example = "flip --axes D,W scan.npy > flipped.npy\n"
               "flip --axes D surfaces.npy > surfaces-flipped.npy",
    .options = options,
};

static struct filter filter;

static void parse_axes(void)
{
    for (const char *at = axes;; at += 2) {
        if (!*at || !strchr("DHW", *at) || strchr(at + 1, *at) || (at[1] && at[1] != ','))
            filter_fail(&filter, "--axes %s: not some of D, H and W with commas between them",
                        axes);
        if (!at[1])
            return;
    }
}

/* The letters of the array's axes. */
static const char *letters(const struct array *in)
{
    if (*in->axes && (int)strlen(in->axes) == in->rank)
        return in->axes;
    return in->rank == 2 ? "DW" : in->rank == 3 ? "DHW" : in->rank == 4 ? "DCHW" : "";
}

/* Which axes of the array to flip. */
static void find_axes(const struct array *in, bool flipped[ARRAY_RANK])
{
    char text[128];
    int64_t extent[3];
    bool padded = in->rank == 3 || in->rank == 4;
    if (padded)
        array_unpadded(in, extent);
    for (const char *at = axes; *at; at++) {
        const char *name = letters(in), *found = strchr(name, *at);
        if (*at == ',')
            continue;
        if (!found || in->rank < 2 || in->rank > 4)
            filter_fail(&filter, "%s %s has no axis %c", *in->kind ? in->kind : "array",
                        array_describe(in, text, sizeof text), *at);
        int axis = (int)(found - name), i = (int)(strchr("DHW", *at) - "DHW");
        if (in->original[i] > 0 && padded && extent[i] < in->shape[axis])
            filter_fail(&filter, "it is padded along %c; crop it first", *at);
        flipped[axis] = true;
    }
}

static void flip(const struct array *in, const bool flipped[ARRAY_RANK])
{
    int64_t size = dtype_size(in->dtype), count = array_slice_count(in), slices = in->shape[0];
    int64_t h = in->rank > 2 ? in->shape[in->rank - 2] : 1, w = in->shape[in->rank - 1];
    bool rows = in->rank > 2 && flipped[in->rank - 2], columns = flipped[in->rank - 1];
    char text[128];
    if (flipped[0] && filter_settings.memory > 0 && array_bytes(in) > filter_settings.memory)
        filter_fail(&filter, "%s is held in memory, beyond the bound of %lld bytes",
                    array_describe(in, text, sizeof text), (long long)filter_settings.memory);
    char *data = filter_allocate(&filter, flipped[0] ? slices : 1, count * size);
    void *slice = filter_allocate(&filter, count, size);
    if (flipped[0])
        filter_read(&filter, data, slices);
    filter_begin(&filter, in);
    for (int64_t d = 0; d < slices; d++) {
        if (!flipped[0])
            filter_read(&filter, data, 1);
        frame_flip(flipped[0] ? data + (slices - 1 - d) * count * size : data, count / (h * w), h,
                   w, rows, columns, slice, size);
        filter_write(&filter, slice, 1);
    }
    filter_end(&filter);
    free(data);
    free(slice);
}

int main(int argc, char **argv)
{
    struct array in;
    filter_start(&filter, &program, argc, argv);
    parse_axes();
    while (filter_next(&filter, &in)) {
        bool flipped[ARRAY_RANK] = {false};
        find_axes(&in, flipped);
        flip(&in, flipped);
    }
    return filter_finish(&filter);
}
