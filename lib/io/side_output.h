/* Outputs of a filter beside its main one: streams of marked arrays in files that options name. */
#ifndef OCTPIPE_IO_SIDE_OUTPUT_H
#define OCTPIPE_IO_SIDE_OUTPUT_H

#include "lib/io/filter.h"

/* `path` is an option's target; without a path the calls below do nothing. As those of filter.h,
 * they end the program on an error. */
struct side_output {
    const char *path;
    struct stream_writer *writer;
};

/* Open `count` of them. Two outputs in one file, or on stdout, are refused. */
void side_outputs_open(struct filter *filter, struct side_output *const side[], int count);
void side_outputs_close(struct filter *filter, struct side_output *const side[], int count);

/* Begin an array (marked, with the filter's history entry added), write, end. */
void side_output_begin(struct filter *filter, struct side_output *side, const struct array *array);
void side_output_write(struct filter *filter, struct side_output *side, const void *data,
                       int64_t slices);
void side_output_end(struct filter *filter, struct side_output *side);

#endif
