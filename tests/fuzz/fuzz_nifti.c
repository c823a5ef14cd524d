/* NIfTI, plain and compressed: the header, and the first slices. What is none goes where its first
 * bytes say. */
#include "lib/scans/scan.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { SLICES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct scan_settings settings = {.limit = FUZZ_LIMIT, .labels = size % 2};
    struct scan *scan;
    struct array array;
    if (scan_open(&scan, fuzz_file(data, size), &settings, NULL))
        return 0;
    for (int read = 0; read < SLICES && scan_next(scan, &array, NULL) > 0;) {
        void *slice = malloc((size_t)(array_slice_count(&array) * dtype_size(array.dtype)));
        int status = slice ? 0 : -1;
        for (int64_t d = 0; d < array.shape[0] && read < SLICES && status == 0; d++, read++)
            status = scan_read(scan, slice, NULL);
        free(slice);
        if (status < 0)
            break;
    }
    scan_close(scan);
    return 0;
}
