#include "lib/core/progress.h"
#include "lib/io/resize.h"
#include "lib/metrics/command.h"
#include "lib/metrics/report.h"
#include "lib/metrics/similarity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Read a volume and make it smaller, in intensities 0…255; the caller frees the result. */
static float *read_small(struct filter *filter, const struct array *in, const int64_t factor[3],
                         int64_t *values)
{
    struct resize *resize;
    struct progress progress;
    struct intensity intensity = volume_intensity(in);
    struct resize_size size;
    const int64_t *extent = size.out;
    filter_check(filter, resize_by_factor(&size, RESIZE_AREA, in->shape, factor, &filter->error));
    filter_check(filter, resize_open(&resize, RESIZE_AREA, &size, &filter->error));
    int64_t count = extent[1] * extent[2], done = 0;
    float *small = filter_allocate(filter, extent[0] * count, sizeof *small);
    float *slice = filter_allocate(filter, array_slice_count(in), sizeof *slice);
    progress_start(&progress, filter->program->name, "slices", in->shape[0], filter_settings.quiet);
    for (int64_t d = 0; d < in->shape[0]; d++) {
        filter_read_f32(filter, slice, 1);
        resize_put(resize, slice);
        while (done < extent[0] && resize_take(resize, small + done * count))
            done++;
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    *values = extent[0] * count;
    for (int64_t i = 0; i < *values; i++)
        small[i] = (float)(intensity.scale * small[i] + intensity.offset);
    resize_close(resize);
    free(slice);
    return small;
}

static void check_memory(struct filter *filter, const struct nearest *nearest)
{
    double bytes = (double)(nearest->count + 1) * (double)nearest->values * sizeof(float);
    if (filter_settings.memory && bytes > (double)filter_settings.memory)
        filter_fail(filter, "%lld small volumes take %.0f bytes, beyond --memory",
                    (long long)nearest->count + 1, bytes);
}

static void report(struct filter *filter, const struct nearest *nearest, int64_t others,
                   enum report_format format)
{
    struct spread spread = {0};
    for (int64_t i = 0; i < nearest->count; i++) {
        const struct nearest_volume *volume = &nearest->volume[i];
        spread_add(&spread, volume->distance);
        if (format == REPORT_TEXT)
            report_nearest_text(stdout, i, volume);
        else if (format == REPORT_JSON)
            filter_check(filter, report_nearest_json(stdout, i, volume, &filter->error));
    }
    if (format == REPORT_TEXT)
        printf("nearest mean %.9g\nnearest deviation %.9g\n", spread.mean,
               spread_deviation(&spread));
    else if (format == REPORT_TSV)
        report_tsv(stdout, "nearest", spread.mean, spread_deviation(&spread), spread.count, others);
}

void command_nearest(struct filter *filter, const struct command_settings *settings)
{
    struct file_list list[2] = {0};
    struct nearest nearest = {0};
    struct array in, first = {0};
    int64_t others = 0;
    command_pair(filter, "nearest", list);
    command_read(filter, &list[0]);
    while (filter_next(filter, &in)) {
        command_expect_shape(filter, &in, &first);
        float *small = read_small(filter, &in, settings->factor, &nearest.values);
        filter_check(filter, nearest_add(&nearest, small, &filter->error));
        check_memory(filter, &nearest);
    }
    command_read(filter, &list[1]);
    for (; filter_next(filter, &in); others++) {
        command_expect_shape(filter, &in, &first);
        float *small = read_small(filter, &in, settings->factor, &nearest.values);
        filter_check(filter, nearest_compare(&nearest, small, others,
                                             stream_reader_name(filter->input), &filter->error));
        free(small);
    }
    command_done(filter, list);
    report(filter, &nearest, others, settings->format);
    nearest_close(&nearest);
}
