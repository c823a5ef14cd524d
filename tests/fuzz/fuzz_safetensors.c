/* safetensors: every tensor's bytes lie in the file, and are found by name. */
#include "lib/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static volatile unsigned checksum; /* so that bytes are read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors file;
    unsigned sum = 0;
    if (safetensors_open(&file, fuzz_file(data, size), NULL))
        return 0;
    for (int64_t i = 0; i < file.count; i++) {
        const struct safetensor *tensor = &file.tensor[i];
        if (safetensors_find(&file, tensor->name) != tensor)
            abort();
        for (int64_t k = 0; k < tensor->bytes; k++)
            sum += ((const unsigned char *)tensor->data)[k];
    }
    for (int64_t i = 0; i < file.metadata_count; i++)
        if (!safetensors_metadata(&file, file.metadata_key[i]))
            abort();
    safetensors_close(&file);
    checksum = sum;
    return 0;
}
