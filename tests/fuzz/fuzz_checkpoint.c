/* PyTorch checkpoints: containers, pickles, and every tensor's data. */
#include "lib/checkpoint/checkpoint.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static int count_elements(void *context, const void *data, int64_t count, struct error *error)
{
    (void)data;
    (void)error;
    *(int64_t *)context += count;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint c;
    char name[64];
    int64_t index = 0;
    if (checkpoint_open(&c, fuzz_file(data, size), NULL))
        return 0;
    while (checkpoint_foreign(&c, &index, name, sizeof name))
        ;
    for (int64_t i = 0; i < c.count; i++) {
        int64_t count = 0;
        struct checkpoint_sink sink = {count_elements, &count};
        if (!checkpoint_copy(&c, &c.tensor[i], FUZZ_LIMIT, sink, NULL) &&
            count != c.tensor[i].count)
            abort();
    }
    checkpoint_close(&c);
    return 0;
}
