/* The tensor stream: headers, metadata, payloads and trailers, as they are and as f32. */
#include "lib/io/stream.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { SLICES = 64 };

static int read_array(struct stream_reader *reader, const struct array *array, bool f32)
{
    int64_t slices = array->shape[0] < SLICES ? array->shape[0] : SLICES;
    int64_t count = array_slice_count(array), size = f32 ? 4 : dtype_size(array->dtype);
    void *slice = malloc((size_t)(count * size) + 1);
    int status = slice ? 0 : -1;
    for (int64_t i = 0; i < slices && !status; i++)
        status = f32 ? stream_reader_read_f32(reader, slice, 1, NULL)
                     : stream_reader_read(reader, slice, 1, NULL);
    free(slice);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct stream_reader *reader;
    struct array array;
    if (stream_reader_open(&reader, &path, 1, FUZZ_LIMIT, NULL))
        return 0;
    bool f32 = size % 2;
    stream_reader_refuse_nan(reader, size % 4 == 3);
    while (stream_reader_next(reader, &array, NULL) == 1 && !read_array(reader, &array, f32))
        ;
    stream_reader_close(reader);
    return 0;
}
