/* tensor-slice - a range of indices along one axis.
 *   stdin: any array    stdout: the same, shorter along one axis */
#include "lib/io/filter.h"
#include "lib/io/select.h"

#include <stdlib.h>
#include <string.h>

static int64_t axis;
static const char *text;

/* clang-format off */
static const struct option options[] = {
    {.name = "axis", .type = OPTION_INT, .target = &axis, .argument = "N", .low = -ARRAY_RANK,
     .high = ARRAY_RANK - 1, .meaning = "which axis; negative ones count from the last"},
    {.name = "range", .type = OPTION_STRING, .target = &text, .argument = "A:B[:STEP]",
     .required = true, .meaning = "which indices, as Python reads them; A alone is one index"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-slice",
    .purpose = "take a range of indices along one axis",
    .input = "any array",
    .output = "the same type and number of axes",
    .operands = "[FILE...]",
    .details = "Negative indices count from the end, bounds beyond the axis are cut to it, and the "
               "step is at least 1. A range without elements is refused.",
    .example = "tensor-slice --range 32 eye.npy | tensor-view -o middle.png\n"
               "tensor-slice --axis -1 --range ::2 eye.npy > narrow.npy",
    .options = options,
};

static struct filter filter;

/* The position of the axis; out is described but for its extent. */
static int describe(struct array *out, const struct array *in)
{
    char shape[128];
    int place = (int)(axis < 0 ? axis + in->rank : axis);
    if (place < 0 || place >= in->rank)
        filter_fail(&filter, "no axis %lld in %s", (long long)axis,
                    array_describe(in, shape, sizeof shape));
    *out = *in;
    memset(out->original, 0, sizeof out->original);
    memset(out->padded, 0, sizeof out->padded);
    return place;
}

/* Along the first axis: slices are passed on, the last one when the input is verified. */
static void pass_slices(const struct array *in, const struct range *range)
{
    void *slice = filter_allocate(&filter, array_slice_count(in), dtype_size(in->dtype));
    void *held = filter_allocate(&filter, array_slice_count(in), dtype_size(in->dtype));
    int64_t last = range->first + (range->count - 1) * range->step;
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read(&filter, d == last ? held : slice, 1);
        if (d >= range->first && d < last && (d - range->first) % range->step == 0)
            filter_write(&filter, slice, 1);
    }
    filter_write(&filter, held, 1);
    free(slice);
    free(held);
}

/* Along another axis: a part of every slice. */
static void cut_slices(const struct array *in, int place, const struct range *range)
{
    int64_t outer = 1, inner = dtype_size(in->dtype);
    for (int i = 1; i < in->rank; i++)
        *(i < place ? &outer : &inner) *= i == place ? 1 : in->shape[i];
    void *slice = filter_allocate(&filter, array_slice_count(in), dtype_size(in->dtype));
    void *part = filter_allocate(&filter, outer * range->count, inner);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read(&filter, slice, 1);
        select_range(slice, outer, in->shape[place], inner, range, part);
        filter_write(&filter, part, 1);
    }
    free(slice);
    free(part);
}

int main(int argc, char **argv)
{
    static const char axes[] = "DHW";
    struct array in, out;
    struct range range;
    filter_start(&filter, &program, argc, argv);
    while (filter_next(&filter, &in)) {
        int place = describe(&out, &in);
        if (range_parse(text, in.shape[place], &range, &filter.error))
            filter_fail(&filter, "--range %s", filter.error.text);
        out.shape[place] = range.count;
        const char *letter = place < (int)strlen(in.axes) ? strchr(axes, in.axes[place]) : NULL;
        if (letter)
            out.spacing[letter - axes] *= (double)range.step;
        filter_begin(&filter, &out);
        if (place == 0)
            pass_slices(&in, &range);
        else
            cut_slices(&in, place, &range);
        filter_end(&filter);
    }
    return filter_finish(&filter);
}
