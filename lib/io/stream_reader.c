#include "lib/io/stream.h"

#include "lib/io/crc32c.h"
#include "lib/io/input.h"
#include "lib/io/metadata.h"
#include "lib/io/npy.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20, TRAILER_LONGEST = 4096 };

struct stream_reader {
    const char *const *paths;
    int count, opened; /* inputs, and how many of them were opened */
    int64_t limit;     /* bytes of a slice */
    bool refuse_nan;

    struct input input;
    int64_t arrays_in_input, arrays; /* found so far */
    int64_t index, of;               /* of the array before in this input; of = 0: unknown */

    struct npy_header header, ahead;
    uint32_t header_checksum, ahead_checksum; /* of the raw headers */
    bool has_ahead;                           /* the header after a bare array is read already */

    int64_t slices, slices_left, slice_count; /* of the current array; elements of a slice */
    int64_t bytes_read;
    uint32_t payload_checksum;

    _Alignas(max_align_t) unsigned char piece[PIECE];
    char text[NPY_HEADER];
};

static const char *const standard_input[] = {"-"};

int stream_reader_open(struct stream_reader **reader, const char *const *paths, int count,
                       int64_t limit, struct error *error)
{
    struct stream_reader *made = calloc(1, sizeof *made);
    *reader = made;
    if (!made)
        return error_set(error, "out of memory");
    made->paths = count ? paths : standard_input;
    made->count = count ? count : 1;
    made->limit = limit > 0 ? limit : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 2;
    made->input.fd = -1;
    made->input.name = strcmp(made->paths[0], "-") ? made->paths[0] : "stdin";
    return 0;
}

const char *stream_reader_name(const struct stream_reader *reader)
{
    return reader->input.name;
}

void stream_reader_refuse_nan(struct stream_reader *reader, bool refuse)
{
    reader->refuse_nan = refuse;
}

void stream_reader_close(struct stream_reader *reader)
{
    if (reader) {
        input_close(&reader->input);
        free(reader);
    }
}

/* The next header of the current input: 1, 0 at its end, −1. */
static int read_header(struct stream_reader *reader, struct npy_header *header, uint32_t *checksum,
                       struct error *error)
{
    unsigned char start[NPY_START] = {0};
    int offset;
    int64_t length, got = input_read(&reader->input, start, sizeof start, error);
    if (got <= 0)
        return (int)got;
    if (npy_measure(start, &offset, &length, error))
        return -1;
    int64_t held = NPY_START - offset;
    if (got < NPY_START || length < held)
        return error_set(error, "the input ends inside an array's header");
    memcpy(reader->text, start + offset, (size_t)held);
    got = input_read(&reader->input, reader->text + held, length - held, error);
    if (got < 0)
        return -1;
    if (got < length - held)
        return error_set(error, "the input ends inside an array's header");
    reader->text[length] = 0;
    *checksum = crc32c(crc32c(0, start, sizeof start), reader->text + held, (size_t)got);
    return npy_parse(reader->text, length, header, error) ? -1 : 1;
}

/* Read and parse the body of a trailer whose header was read. */
static int read_trailer(struct stream_reader *reader, const struct npy_header *header,
                        struct trailer *trailer, struct error *error)
{
    char text[TRAILER_LONGEST + 1];
    int64_t length = array_count(&header->array);
    if (header->array.dtype != DTYPE_U8 || length > TRAILER_LONGEST)
        return error_set(error, "damaged trailer: its header is not that of a trailer");
    int64_t got = input_read(&reader->input, text, length, error);
    if (got < 0)
        return -1;
    if (got < length)
        return error_set(error, "the input ends inside a trailer");
    text[length] = 0;
    if ((int64_t)strlen(text) != length)
        return error_set(error, "damaged trailer: it holds a zero byte");
    return trailer_parse(text, trailer, error);
}

/* A trailer stands where an array should: either the program before gave up, or the array before
 * lost its mark. */
static int refuse_trailer(struct stream_reader *reader, const struct npy_header *header,
                          struct error *error)
{
    struct trailer trailer;
    if (read_trailer(reader, header, &trailer, error))
        return -1;
    if (!trailer.complete)
        return error_set(error, "the program that writes it gave up");
    return error_set(error, "a trailer without its array; the header before it is damaged");
}

/* After the last slice of a marked array: its trailer. */
static int verify_marked(struct stream_reader *reader, struct error *error)
{
    struct npy_header header;
    uint32_t checksum;
    struct trailer trailer;
    int status = read_header(reader, &header, &checksum, error);
    if (status < 0)
        return error_prefix(error, "after the payload");
    if (!status || header.role != NPY_TRAILER)
        return error_set(error, "no trailer after the payload; it may be cut");
    if (read_trailer(reader, &header, &trailer, error))
        return -1;
    if (!trailer.complete)
        return error_set(error, "the program that writes it gave up");
    if (trailer.header != reader->header_checksum)
        return error_set(error, "wrong checksum of the header");
    if (trailer.bytes != array_bytes(&reader->header.array))
        return error_set(error, "the trailer is of another array");
    if (trailer.payload != reader->payload_checksum)
        return error_set(error, "wrong checksum of the payload");
    return 0;
}

/* After the last slice of a bare array: the end, or another array. */
static int verify_bare(struct stream_reader *reader, struct error *error)
{
    int status = read_header(reader, &reader->ahead, &reader->ahead_checksum, error);
    if (status < 0)
        return error_prefix(error, "after the payload");
    if (status && reader->ahead.role == NPY_TRAILER)
        return refuse_trailer(reader, &reader->ahead, error);
    reader->has_ahead = status;
    return 0;
}

static int refuse_cut(const struct stream_reader *reader, int64_t bytes, struct error *error)
{
    return error_set(error, "the payload is cut: %lld of %lld bytes are there", (long long)bytes,
                     (long long)array_bytes(&reader->header.array));
}

/* Read count elements of the current payload. */
static int read_elements(struct stream_reader *reader, void *data, int64_t count,
                         struct error *error)
{
    int64_t element = dtype_size(reader->header.array.dtype), left = count * element;
    for (unsigned char *to = data; left;) {
        int64_t piece =
            left < PIECE ? left : PIECE; /* so that the checksum finds it in the cache */
        int64_t got = input_read(&reader->input, to, piece, error);
        if (got < 0)
            return -1;
        reader->bytes_read += got;
        if (got < piece)
            return refuse_cut(reader, reader->bytes_read, error);
        if (reader->header.array.marked)
            reader->payload_checksum = crc32c(reader->payload_checksum, to, (size_t)piece);
        if (reader->header.big_endian)
            array_swap_bytes(to, piece / element, element);
        to += piece;
        left -= piece;
    }
    return 0;
}

/* Account for slices whose elements were read; the last one is good only with what follows. */
static int finish_slices(struct stream_reader *reader, int64_t slices, struct error *error)
{
    reader->slices_left -= slices;
    if (reader->slices_left || !slices)
        return 0;
    return reader->header.array.marked ? verify_marked(reader, error) : verify_bare(reader, error);
}

static int check_left(const struct stream_reader *reader, int64_t slices, struct error *error)
{
    if (slices >= 0 && slices <= reader->slices_left)
        return 0;
    return error_set(error, "%lld slices are asked for, %lld are left", (long long)slices,
                     (long long)reader->slices_left);
}

/* Say which array of several an error is about; number counts from 1. Returns status. */
static int locate(int64_t number, int status, struct error *error)
{
    if (status < 0 && number > 1)
        error_prefix(error, "array %lld", (long long)number);
    return status;
}

static int read_raw(struct stream_reader *reader, void *data, int64_t slices, struct error *error)
{
    if (check_left(reader, slices, error) ||
        read_elements(reader, data, slices * reader->slice_count, error))
        return -1;
    return finish_slices(reader, slices, error);
}

int stream_reader_read(struct stream_reader *reader, void *data, int64_t slices,
                       struct error *error)
{
    return locate(reader->arrays_in_input, read_raw(reader, data, slices, error), error);
}

/* The first value that is NaN or infinite, told by its exponent; −1 when there is none. */
static int64_t find_nan(const float *value, int64_t count)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t bits, found = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(&bits, &value[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    for (int64_t i = 0; found && i < count; i++) {
        memcpy(&bits, &value[i], sizeof bits);
        if ((bits & exponent) == exponent)
            return i;
    }
    return -1;
}

static int read_f32(struct stream_reader *reader, float *data, int64_t slices, struct error *error)
{
    if (check_left(reader, slices, error))
        return -1;
    enum dtype dtype = reader->header.array.dtype;
    int64_t first = reader->slices - reader->slices_left;
    int64_t count = slices * reader->slice_count, most = PIECE / dtype_size(dtype);
    for (int64_t done = 0, part; done < count; done += part) {
        part = count - done < most ? count - done : most;
        void *raw = dtype == DTYPE_F32 ? (void *)(data + done) : reader->piece;
        if (read_elements(reader, raw, part, error))
            return -1;
        if (dtype != DTYPE_F32)
            array_to_f32(raw, dtype, data + done, part);
        int64_t nan = reader->refuse_nan ? find_nan(data + done, part) : -1;
        if (nan >= 0)
            return error_set(error, "slice %lld holds NaN or infinity",
                             (long long)(first + (done + nan) / reader->slice_count));
    }
    return finish_slices(reader, slices, error);
}

int stream_reader_read_f32(struct stream_reader *reader, float *data, int64_t slices,
                           struct error *error)
{
    return locate(reader->arrays_in_input, read_f32(reader, data, slices, error), error);
}

/* Read what is left of the current array. */
static int drain(struct stream_reader *reader, struct error *error)
{
    int64_t slices = reader->slices_left, count = slices * reader->slice_count;
    int64_t most = PIECE / dtype_size(reader->header.array.dtype);
    for (int64_t part; count; count -= part) {
        part = count < most ? count : most;
        if (read_elements(reader, reader->piece, part, error))
            return -1;
    }
    return finish_slices(reader, slices, error);
}

/* Where the array before says that others follow: `next`, or NULL at the end of the input, must be
 * the one that does. A program that was killed between two arrays shows itself so. */
static int check_sequence(const struct stream_reader *reader, const struct array *next,
                          struct error *error)
{
    if (!reader->arrays_in_input || reader->index >= reader->of - 1)
        return 0;
    if (next && next->marked && next->index == reader->index + 1 && next->of == reader->of)
        return 0;
    return error_set(error, "number %lld of %lld is missing", (long long)reader->index + 2,
                     (long long)reader->of);
}

/* Open inputs until one has a header: 1, 0 at the end of the last input, −1. */
static int find_header(struct stream_reader *reader, struct error *error)
{
    for (;;) {
        if (reader->input.fd < 0) {
            if (reader->opened == reader->count)
                return 0;
            reader->arrays_in_input = 0;
            if (input_open(&reader->input, reader->paths[reader->opened++], error))
                return -1;
        }
        int status = read_header(reader, &reader->header, &reader->header_checksum, error);
        if (status)
            return status;
        if (!reader->arrays_in_input)
            return error_set(error, "empty; it holds no array");
        if (check_sequence(reader, NULL, error))
            return -1;
        input_close(&reader->input);
    }
}

/* Refuse what cannot be read, before time is spent on it. */
static int check_size(const struct stream_reader *reader, struct error *error)
{
    const struct array *array = &reader->header.array;
    char text[256];
    int64_t bytes = array_bytes(array), slice = bytes / array_slices(array);
    if (slice > reader->limit)
        return error_set(
            error, "absurd shape: %s has slices of %lld bytes, beyond the bound of %lld",
            array_describe(array, text, sizeof text), (long long)slice, (long long)reader->limit);
    if (reader->input.file_left >= 0 && reader->input.file_left < bytes)
        return refuse_cut(reader, reader->input.file_left, error);
    return 0;
}

/* The header of the next array: 1, 0 at the end, −1. */
static int next_header(struct stream_reader *reader, struct error *error)
{
    if (reader->has_ahead) {
        reader->header = reader->ahead;
        reader->header_checksum = reader->ahead_checksum;
        reader->has_ahead = false;
    } else {
        int status = find_header(reader, error);
        if (status <= 0)
            return status;
        if (reader->header.role == NPY_TRAILER)
            return refuse_trailer(reader, &reader->header, error);
    }
    return check_sequence(reader, &reader->header.array, error) || check_size(reader, error) ? -1
                                                                                             : 1;
}

int stream_reader_next(struct stream_reader *reader, struct array *array, struct error *error)
{
    if (drain(reader, error))
        return locate(reader->arrays_in_input, -1, error);
    int status = next_header(reader, error);
    if (status <= 0)
        return locate(reader->arrays_in_input + 1, status, error);
    *array = reader->header.array;
    reader->index = array->index;
    reader->of = array->marked ? array->of : 0;
    if (!array->marked)
        array->index = reader->arrays;
    reader->slices = reader->slices_left = array_slices(array);
    reader->slice_count = array_slice_count(array);
    reader->bytes_read = 0;
    reader->payload_checksum = 0;
    reader->arrays++;
    reader->arrays_in_input++;
    return 1;
}
