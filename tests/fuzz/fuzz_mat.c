/* Layer surfaces in MATLAB files. */
#include "lib/scans/mat_layers.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t shape[3];
    float *rows;
    if (mat_layers_read(fuzz_file(data, size), FUZZ_LIMIT, &rows, shape, NULL) == 0)
        free(rows);
    return 0;
}
