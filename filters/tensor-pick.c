/* tensor-pick - some of the arrays of a stream.
 *   stdin: any arrays    stdout: those of a range of numbers, as they are */
#include "lib/io/filter.h"
#include "lib/io/select.h"

#include <stdlib.h>
#include <string.h>

static const char *text;

/* clang-format off */
static const struct option options[] = {
    {.name = "range", .type = OPTION_STRING, .target = &text, .argument = "A:B[:STEP]",
     .required = true,
     .meaning = "which arrays, counted from 0, as Python reads them; A alone is one array"},
    FILTER_OPTIONS,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-pick",
    .purpose = "take some of the arrays of a stream",
    .input = "any arrays",
    .output = "those of the range, as they are",
    .operands = "[FILE...]",
    .details = "The arrays of all files are counted together. How many there are is not known "
               "before the end, so A and B are not negative. An array keeps its index, which "
               "says what noise the samplers give it.",
    .example = "tensor-pick --range 24:32 eyes.npy > held-out.npy\n"
               "tensor-pick --range 0 volume.npy | tensor-view -o first.png",
    .options = options,
};

static struct filter filter;

static bool picked(const struct range *range, int64_t number)
{
    int64_t from_first = number - range->first;
    return from_first >= 0 && from_first % range->step == 0 &&
           from_first / range->step < range->count;
}

static void pass(const struct array *in)
{
    struct array out = *in;
    out.of = 0;
    int64_t batch = array_batch(in, array_slices(in)), left = array_slices(in);
    void *slices = filter_allocate(&filter, batch * array_slice_count(in), dtype_size(in->dtype));
    filter_begin(&filter, &out);
    for (; left > 0; left -= batch) {
        batch = batch < left ? batch : left;
        filter_read(&filter, slices, batch);
        filter_write(&filter, slices, batch);
    }
    filter_end(&filter);
    free(slices);
}

int main(int argc, char **argv)
{
    struct array in;
    struct range range;
    int64_t number = 0, passed = 0;
    filter_start(&filter, &program, argc, argv);
    if (strchr(text, '-'))
        filter_fail(&filter, "--range %s: arrays are counted from the first one", text);
    if (range_parse(text, INT64_MAX, &range, &filter.error))
        filter_fail(&filter, "--range %s", filter.error.text);
    for (; filter_next(&filter, &in); number++)
        if (picked(&range, number)) {
            pass(&in);
            passed++;
        }
    if (!passed)
        filter_fail(&filter, "--range %s: there are %lld arrays", text, (long long)number);
    return filter_finish(&filter);
}
