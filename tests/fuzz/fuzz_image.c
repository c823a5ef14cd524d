/* Pictures: PNG, JPEG, BMP and TIFF of one page, described and read. */
#include "lib/scans/image.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct image_settings settings = {.limit = FUZZ_LIMIT, .labels = size % 2};
    const char *path = fuzz_file(data, size);
    struct image image;
    if (image_describe(path, &settings, &image, NULL))
        return 0;
    void *samples = malloc((size_t)(image.rows * image.columns * dtype_size(image.dtype)));
    if (samples)
        image_read(path, &settings, &image, samples, NULL);
    free(samples);
    return 0;
}
