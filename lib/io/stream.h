/* The tensor stream (docs/stream.md): NPY arrays one after another, read and written by slices.
 *
 * A slice is one index of the first axis. The reader verifies a marked array's trailer before it
 * hands out the last slice, so a filter that writes its last slice after reading its last one
 * never passes on a broken input as whole. */
#ifndef OCTPIPE_IO_STREAM_H
#define OCTPIPE_IO_STREAM_H

#include "lib/io/array.h"

struct stream_reader;
struct stream_writer;

/* Read the files one after another as one stream; "-" or no path at all is stdin. `limit` bounds
 * the bytes of one slice that a header may announce (0: 1/2 of the machine's memory).
 * The reader keeps the pointers to the paths. */
int stream_reader_open(struct stream_reader **reader, const char *const *paths, int count,
                       int64_t limit, struct error *error);

/* Advance to the next array: 1 and its description, 0 at the end of the stream, −1 on an error.
 * Slices of the previous array that were not read are read and verified first. An input without
 * any array at all is an error. */
int stream_reader_next(struct stream_reader *reader, struct array *array, struct error *error);

/* Read the next `slices` slices, as they are or as f32. Reading past the end is an error.
 * In f32, NaN and infinity are errors when `reader` was asked to refuse them. */
int stream_reader_read(struct stream_reader *reader, void *data, int64_t slices,
                       struct error *error);
int stream_reader_read_f32(struct stream_reader *reader, float *data, int64_t slices,
                           struct error *error);
void stream_reader_refuse_nan(struct stream_reader *reader, bool refuse);

/* The current input's name for messages: a path, or "stdin". */
const char *stream_reader_name(const struct stream_reader *reader);

void stream_reader_close(struct stream_reader *reader); /* NULL is fine */

/* Write to path ("-" or NULL: stdout, never a terminal). A regular file is written under a
 * temporary name beside it and renamed by stream_writer_close. */
int stream_writer_open(struct stream_writer **writer, const char *path, struct error *error);

/* Begin an array; marked arrays get their metadata and, at the end, the trailer. */
int stream_writer_begin(struct stream_writer *writer, const struct array *array,
                        struct error *error);
int stream_writer_write(struct stream_writer *writer, const void *data, int64_t slices,
                        struct error *error);
int stream_writer_end(struct stream_writer *writer, struct error *error);

/* Flush, check, close and rename. */
int stream_writer_close(struct stream_writer *writer, struct error *error);

/* Give up: remove the temporary file; on a pipe, leave the current array cut, or between two arrays
 * say by a trailer without an array that the stream is broken. NULL is fine. */
void stream_writer_abort(struct stream_writer *writer);

/* Remove the temporary files of all open writers; async-signal-safe. */
void stream_writers_discard(void);

#endif
