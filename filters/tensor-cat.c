/* tensor-cat - the arrays of a stream joined into one.
 *   stdin: arrays that differ along one axis only    stdout: one array */
#include "lib/io/filter.h"

#include <stdlib.h>
#include <string.h>

static int64_t axis;
static bool stack;

/* clang-format off */
static const struct option options[] = {
    {.name = "axis", .type = OPTION_INT, .target = &axis, .argument = "N", .low = -ARRAY_RANK,
     .high = ARRAY_RANK - 1, .meaning = "along which axis; negative ones count from the last"},
    {.name = "stack", .type = OPTION_FLAG, .target = &stack,
     .meaning = "the axis is a new one, with one index for each array"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-cat",
    .purpose = "join the arrays of a stream into one",
    .input = "arrays of one type that differ along one axis only; with --stack, not at all",
    .output = "one array",
    .operands = "[FILE...]",
    .details = "The arrays are held in memory. Metadata are those of the first one.",
    .example = "tensor-cat first.npy second.npy > both.npy\n"
               "cat slice-*.npy | tensor-cat --stack > volume.npy",
    .options = options,
};

static struct filter filter;

/* The input arrays; shape[place] and length along the axis as the output sees them. */
static struct array out;
static int place;
static int64_t arrays, bytes, *length;
static unsigned char **data;

/* Give an array the new axis of --stack, and find the axis in the first one. */
static void add_axis(struct array *in)
{
    char text[128];
    if (stack && in->rank == ARRAY_RANK)
        filter_fail(&filter, "%s has no room for another axis",
                    array_describe(in, text, sizeof text));
    int rank = in->rank + stack;
    if (arrays == 0)
        place = (int)(axis < 0 ? axis + rank : axis);
    if (place < 0 || place >= rank)
        filter_fail(&filter, "no axis %lld in %s", (long long)axis,
                    array_describe(in, text, sizeof text));
    if (stack) {
        memmove(in->shape + place + 1, in->shape + place,
                (size_t)(in->rank - place) * sizeof *in->shape);
        in->shape[place] = 1;
        in->rank = rank;
    }
}

static void add_array(struct array *in)
{
    char text[128], first[128];
    int64_t slices = array_slices(in), size = array_bytes(in);
    bytes += size;
    if (filter_settings.memory && bytes > filter_settings.memory)
        filter_fail(&filter, "the arrays so far take %lld bytes, beyond --memory",
                    (long long)bytes);
    add_axis(in);
    if (arrays == 0) {
        out = *in;
        out.shape[place] = 0;
    }
    struct array other = *in;
    other.shape[place] = out.shape[place];
    if (in->dtype != out.dtype || in->rank != out.rank ||
        memcmp(other.shape, out.shape, (size_t)out.rank * sizeof *out.shape)) {
        other = out;
        other.shape[place] = length ? length[0] : 0;
        filter_fail(&filter, "array %lld, %s, does not fit the first, %s", (long long)arrays + 1,
                    array_describe(in, text, sizeof text),
                    array_describe(&other, first, sizeof first));
    }
    length = realloc(length, (size_t)(arrays + 1) * sizeof *length);
    data = realloc(data, (size_t)(arrays + 1) * sizeof *data);
    if (!length || !data)
        filter_fail(&filter, "out of memory");
    length[arrays] = in->shape[place];
    data[arrays] = filter_allocate(&filter, size, 1);
    filter_read(&filter, data[arrays], slices);
    out.shape[place] += length[arrays++];
}

/* Interleave the arrays: for each index of the axes before the joined one, a piece of each. */
static void write_joined(void)
{
    int64_t outer = 1, inner = dtype_size(out.dtype);
    for (int i = 1; i < out.rank; i++)
        *(i < place ? &outer : &inner) *= i == place ? 1 : out.shape[i];
    int64_t slice_bytes = array_bytes(&out) / array_slices(&out);
    unsigned char *slice = filter_allocate(&filter, slice_bytes, 1);
    for (int64_t d = 0; d < out.shape[0]; d++) {
        unsigned char *to = slice;
        for (int64_t o = d * outer; o < (d + 1) * outer; o++)
            for (int64_t k = 0; k < arrays; k++) {
                int64_t piece = length[k] * inner;
                memcpy(to, data[k] + o * piece, (size_t)piece);
                to += piece;
            }
        filter_write(&filter, slice, 1);
    }
    free(slice);
}

int main(int argc, char **argv)
{
    struct array in;
    filter_start(&filter, &program, argc, argv);
    while (filter_next(&filter, &in))
        add_array(&in);
    memset(out.original, 0, sizeof out.original);
    memset(out.padded, 0, sizeof out.padded);
    if (stack)
        *out.axes = 0;
    out.index = 0;
    out.of = 1;
    filter_begin(&filter, &out);
    if (place > 0)
        write_joined();
    for (int64_t k = 0; k < arrays; k++) {
        if (place == 0)
            filter_write(&filter, data[k], length[k]);
        free(data[k]);
    }
    filter_end(&filter);
    free(data);
    free(length);
    return filter_finish(&filter);
}
