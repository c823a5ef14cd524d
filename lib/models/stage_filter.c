#include "lib/models/stage_filter.h"
#include "lib/io/volume.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PRECISION_AUTO, PRECISION_FP32, PRECISION_BF16 };

struct weights *stage_filter_weights(struct filter *filter)
{
    struct weights *weights;
    filter_check(filter, weights_open(&weights, filter_settings.weights, filter_settings.ema,
                                      &filter->error));
    return weights;
}

struct stage_settings stage_filter_settings(struct filter *filter)
{
    bool bf16 = filter_settings.precision == PRECISION_BF16;
    if (bf16 && !cpu_has_bf16())
        filter_fail(filter, "--precision bf16: this processor does not multiply bf16");
    return (struct stage_settings){backend_cpu(), bf16 ? DTYPE_BF16 : DTYPE_F32,
                                   filter_settings.memory};
}

void stage_filter_plan(struct filter *filter, const struct stage *stage, int64_t bytes)
{
    struct network_memory memory = network_memory(stage->network);
    double mib = 1 << 20;
    filter_detail(
        filter, "plan: %.1f MiB = weights %.1f + arena %.1f + buffers %.1f; %.3f TFLOP a call",
        (double)bytes / mib, (double)memory.weights / mib, (double)memory.activations / mib,
        (double)(bytes - memory.total) / mib, graph_flops(network_graph(stage->network)) * 1e-12);
    if (filter_settings.memory && bytes > filter_settings.memory)
        filter_fail(filter, "the plan needs %.1f MiB, --memory allows %.1f MiB",
                    (double)bytes / mib, (double)filter_settings.memory / mib);
}

void stage_filter_read_volume(struct filter *filter, const struct array *array, float *volume,
                              int64_t slices)
{
    int64_t count = slices * array_slice_count(array);
    if (array->dtype != DTYPE_U8) {
        filter_read_f32(filter, volume, slices);
        return;
    }
    /* The bytes lie at the end of the floats' memory and are converted from the front. */
    uint8_t *bytes = (uint8_t *)volume + 3 * count;
    filter_read(filter, bytes, slices);
    volume_to_f32(bytes, DTYPE_U8, volume, count);
}

void stage_filter_peak(struct filter *filter)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    filter_detail(filter, "peak memory of the process: %.1f MiB", (double)usage.ru_maxrss / 1024);
}
