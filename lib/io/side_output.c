#include "lib/io/side_output.h"

#include <string.h>

static void refuse_same(struct filter *filter, const char *a, const char *b)
{
    if (a && b && strcmp(a, b) == 0)
        filter_fail(filter, "two outputs go to %s", strcmp(a, "-") ? a : "stdout");
}

void side_outputs_open(struct filter *filter, struct side_output *const side[], int count)
{
    const char *output = filter_settings.output ? filter_settings.output : "-";
    for (int i = 0; i < count; i++) {
        refuse_same(filter, side[i]->path, output);
        for (int j = 0; j < i; j++)
            refuse_same(filter, side[i]->path, side[j]->path);
    }
    for (int i = 0; i < count; i++)
        if (side[i]->path)
            filter_check_output(
                filter, stream_writer_open(&side[i]->writer, side[i]->path, &filter->error));
}

void side_outputs_close(struct filter *filter, struct side_output *const side[], int count)
{
    for (int i = 0; i < count; i++)
        if (side[i]->writer)
            filter_check_output(filter, stream_writer_close(side[i]->writer, &filter->error));
}

void side_output_begin(struct filter *filter, struct side_output *side, const struct array *array)
{
    if (!side->writer)
        return;
    struct array marked = *array;
    marked.marked = true;
    array_add_history(&marked, filter->command_line);
    filter_check_output(filter, stream_writer_begin(side->writer, &marked, &filter->error));
}

void side_output_write(struct filter *filter, struct side_output *side, const void *data,
                       int64_t slices)
{
    if (side->writer)
        filter_check_output(filter,
                            stream_writer_write(side->writer, data, slices, &filter->error));
}

void side_output_end(struct filter *filter, struct side_output *side)
{
    if (side->writer)
        filter_check_output(filter, stream_writer_end(side->writer, &filter->error));
}
