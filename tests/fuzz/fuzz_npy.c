/* Headers of arrays: what is read is written again, and reads as the same. */
#include "lib/io/npy.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[NPY_HEADER + 1], written[NPY_WRITTEN + 1];
    struct npy_header header, again;
    int offset, length;
    int64_t announced;
    if (size < NPY_START || npy_measure(data, &offset, &announced, NULL) ||
        announced > (int64_t)size - offset || announced > NPY_HEADER)
        return 0;
    memcpy(text, data + offset, (size_t)announced);
    text[announced] = 0;
    if (npy_parse(text, announced, &header, NULL) || header.role != NPY_ARRAY ||
        npy_format(&header.array, written, &length, NULL))
        return 0;
    int64_t dictionary;
    written[length] = 0;
    if (npy_measure((const unsigned char *)written, &offset, &dictionary, NULL) ||
        npy_parse(written + offset, dictionary, &again, NULL) ||
        again.array.rank != header.array.rank || again.array.dtype != header.array.dtype ||
        memcmp(again.array.shape, header.array.shape,
               (size_t)header.array.rank * sizeof *header.array.shape))
        abort();
    return 0;
}
