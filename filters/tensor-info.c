/* tensor-info - what arrays hold: type, shape, metadata, statistics, and whether they are whole.
 *   stdin: any arrays    stdout: text */
#include "lib/io/filter.h"
#include "lib/io/summary.h"

#include <stdlib.h>

static bool json;

/* clang-format off */
static const struct option options[] = {
    {.name = "json", .type = OPTION_FLAG, .target = &json,
     .meaning = "one line of JSON for each array"},
    SLICE_MEMORY_OPTION,
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-info",
    .purpose = "say what arrays hold, and whether they are whole",
    .input = "any arrays",
    .operands = "[FILE...]",
    .details = "An array is reported after it was read to its end and its checksum was verified. "
               "Exits with 2 at the first broken one.",
    .example = "tensor-info z.npy\n"
               "noise --shape 8,4,16,16 | tensor-info --json",
    .options = options,
};

static struct filter filter;

static void report(const struct array *in, int64_t number)
{
    int64_t slices = array_slices(in), batch = array_batch(in, slices);
    struct statistics statistics = {0};
    void *data = filter_allocate(&filter, batch, array_bytes(in) / slices);
    for (int64_t d = 0; d < slices; d += batch) {
        batch = array_batch(in, slices - d);
        filter_read(&filter, data, batch);
        statistics_add(&statistics, data, in->dtype, batch * array_slice_count(in));
    }
    free(data);
    struct summary summary = {stream_reader_name(filter.input), number, in, &statistics};
    if (json)
        filter_check(&filter, summary_json(&summary, stdout, &filter.error));
    else
        summary_text(&summary, stdout);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct array in;
    int64_t number = 0;
    const char *name = NULL;
    filter_start(&filter, &program, argc, argv);
    while (filter_next(&filter, &in)) {
        if (name != stream_reader_name(filter.input))
            number = 0;
        name = stream_reader_name(filter.input);
        report(&in, ++number);
    }
    return filter_finish(&filter);
}
