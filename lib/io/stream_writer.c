#include "lib/io/stream.h"

#include "lib/io/crc32c.h"
#include "lib/io/metadata.h"
#include "lib/io/npy.h"
#include "lib/io/output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 1 << 16, PIPE = 1 << 20 };

struct stream_writer {
    struct output output;
    int64_t offset;   /* of the stream, what is buffered included */
    int64_t complete; /* the offset where the last complete array ended */
    size_t buffered;

    bool open, marked; /* the current array */
    int64_t slice_bytes, slices_left;
    struct trailer trailer;

    unsigned char buffer[BUFFER];
};

int stream_writer_open(struct stream_writer **writer, const char *path, struct error *error)
{
    *writer = calloc(1, sizeof **writer);
    if (!*writer)
        return error_set(error, "out of memory");
    if (output_open(&(*writer)->output, path, error)) {
        free(*writer);
        *writer = NULL;
        return -1;
    }
    fcntl((*writer)->output.fd, F_SETPIPE_SZ, PIPE); /* a wish; not every output is a pipe */
    return 0;
}

static int flush(struct stream_writer *writer, struct error *error)
{
    size_t size = writer->buffered;
    writer->buffered = 0;
    return output_write(&writer->output, writer->buffer, size, error);
}

/* Add to the stream. Pieces as long as the buffer go out at once, so that the next program of a
 * pipe starts on them. */
static int put(struct stream_writer *writer, const void *data, size_t size, struct error *error)
{
    if (writer->buffered + size > BUFFER && flush(writer, error))
        return -1;
    writer->offset += (int64_t)size;
    if (size >= BUFFER)
        return output_write(&writer->output, data, size, error);
    memcpy(writer->buffer + writer->buffered, data, size);
    writer->buffered += size;
    return 0;
}

int stream_writer_begin(struct stream_writer *writer, const struct array *array,
                        struct error *error)
{
    char header[NPY_WRITTEN];
    int length;
    if (writer->open)
        return error_set(error, "writing %s: the array before is not ended", writer->output.name);
    if (npy_format(array, header, &length, error))
        return error_prefix(error, "writing %s", writer->output.name);
    writer->open = true;
    writer->marked = array->marked;
    writer->slice_bytes = array_slice_count(array) * dtype_size(array->dtype);
    writer->slices_left = array_slices(array);
    writer->trailer = (struct trailer){
        .complete = true, .bytes = array_bytes(array), .header = crc32c(0, header, (size_t)length)};
    /* At once: what ends from here on, killed or not, leaves an array that is cut. */
    return put(writer, header, (size_t)length, error) ? -1 : flush(writer, error);
}

int stream_writer_write(struct stream_writer *writer, const void *data, int64_t slices,
                        struct error *error)
{
    if (slices < 0 || slices > writer->slices_left)
        return error_set(error, "writing %s: %lld slices too many", writer->output.name,
                         (long long)(slices - writer->slices_left));
    writer->slices_left -= slices;
    const unsigned char *at = data;
    for (size_t size = (size_t)(slices * writer->slice_bytes); size;) {
        size_t piece = size < PIPE ? size : PIPE; /* read twice, the second time from the cache */
        if (writer->marked)
            writer->trailer.payload = crc32c(writer->trailer.payload, at, piece);
        if (put(writer, at, piece, error))
            return -1;
        at += piece;
        size -= piece;
    }
    return 0;
}

/* Padded with spaces to where a marked array may start. */
static int put_trailer(struct stream_writer *writer, struct error *error)
{
    char header[NPY_WRITTEN], text[TRAILER_SIZE + NPY_ALIGNMENT];
    trailer_format(&writer->trailer, text);
    int64_t length = (int64_t)strlen(text);
    int64_t padding = -(writer->offset + length) & (NPY_ALIGNMENT - 1);
    memset(text + length, ' ', (size_t)padding);
    length += padding;
    int header_length = npy_format_trailer(length, header);
    if (put(writer, header, (size_t)header_length, error))
        return -1;
    return put(writer, text, (size_t)length, error);
}

int stream_writer_end(struct stream_writer *writer, struct error *error)
{
    if (!writer->open || writer->slices_left)
        return error_set(error, "writing %s: the array is %lld slices short", writer->output.name,
                         (long long)writer->slices_left);
    if ((writer->marked && put_trailer(writer, error)) || flush(writer, error))
        return -1;
    writer->open = false;
    writer->complete = writer->offset;
    return 0;
}

int stream_writer_close(struct stream_writer *writer, struct error *error)
{
    int status;
    if (writer->open) {
        status = error_set(error, "writing %s: the last array is not ended", writer->output.name);
        stream_writer_abort(writer);
    } else {
        status = output_close(&writer->output, error);
        free(writer);
    }
    return status;
}

void stream_writer_abort(struct stream_writer *writer)
{
    if (!writer)
        return;
    /* A pipe that ends between two arrays would read as whole. */
    bool between =
        writer->complete > 0 && writer->offset - (int64_t)writer->buffered == writer->complete;
    struct pollfd output = {.fd = writer->output.fd, .events = POLLOUT};
    if (!writer->output.target && between && poll(&output, 1, -1) == 1 &&
        !(output.revents & (POLLERR | POLLHUP | POLLNVAL))) {
        writer->offset = writer->complete;
        writer->buffered = 0;
        writer->trailer = (struct trailer){.complete = false};
        if (!put_trailer(writer, NULL))
            flush(writer, NULL);
    }
    output_discard(&writer->output);
    free(writer);
}

void stream_writers_discard(void)
{
    outputs_discard();
}
