/* TIFF stacks: all pages' descriptions, and the first slices. */
#include "lib/io/tiff.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { SLICES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tiff_mapping mapping = {
        .labels = size % 3 == 1, .range = size % 3 == 2, .high = 1};
    struct tiff_reader *reader;
    if (tiff_reader_open(&reader, fuzz_file(data, size), &mapping, FUZZ_LIMIT, NULL))
        return 0;
    const struct array *array = tiff_reader_array(reader);
    int64_t slices = tiff_reader_volumes(reader) * array->shape[0];
    void *slice = malloc((size_t)(array_slice_count(array) * dtype_size(array->dtype)));
    for (int64_t i = 0; i < slices && i < SLICES && slice; i++)
        if (tiff_reader_read(reader, slice, NULL))
            break;
    free(slice);
    tiff_reader_close(reader);
    return 0;
}
