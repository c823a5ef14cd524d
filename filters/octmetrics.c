/* octmetrics - measures of volumes, labels and surfaces.
 *   stdin or files: volume (D,H,W) u1|f4, labels (D,H,W) u1, surfaces (S,D,W) f4
 *   stdout: text or JSON
 *   tiff-to-tensor eye.tif | octmetrics tv */
#include "lib/core/progress.h"
#include "lib/io/filter.h"
#include "lib/metrics/report.h"

#include <stdlib.h>
#include <string.h>

static bool json, background;

/* clang-format off */
static const struct option options[] = {
    {.name = "json", .type = OPTION_FLAG, .target = &json,
     .meaning = "a JSON object for each array; null stands for NaN and infinity"},
    {.name = "background", .type = OPTION_FLAG, .target = &background,
     .meaning = "count class 0 in dice and iou too"},
    {.name = "memory", .type = OPTION_BYTES, .target = &filter_settings.memory,
     .argument = "BYTES", .unset = "half of the machine's", .no_result = true,
     .meaning = "refuse slices longer than this"},
    {.name = "quiet", .letter = 'q', .type = OPTION_FLAG, .target = &filter_settings.quiet,
     .no_result = true, .meaning = "no progress"},
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "octmetrics",
    .purpose = "measure volumes, labels and surfaces",
    .input = "volume (D,H,W) u1 or f4 (tv, psnr, ssim), labels (D,H,W) u1 (dice, iou), surfaces "
             "(S,D,W) f4 (mad)",
    .operands = "MEASURE [FILE...]",
    .details =
        "tv takes any files, or stdin. The others compare the arrays of A with those of B, one of "
        "which may be -, pair by pair.\n\n"
        "  tv    total variation of the volume scaled to [0,1]\n"
        "  dice  of each class that A or B holds but 0, and their mean\n"
        "  iou   intersection over union, in the same way\n"
        "  mad   mean absolute distance in pixels of each surface, and their mean\n"
        "  psnr  in dB, peak 255, over the whole volume\n"
        "  ssim  mean over the slices\n\n"
        "Total variation is the square root of the sum of squared forward differences along all "
        "axes. SSIM is that of Wang et al. 2004: Gaussian window 11x11, sigma 1.5, weighted "
        "covariances, without the borders.\n\n"
        "A line of text is the measure, the number of the class or surface or \"mean\", and the "
        "value. Values outside of [-1,1] count as they are.",
    .example = "tiff-to-tensor eye.tif | octmetrics tv\n"
               "octmetrics dice --json truth.npy labels.npy",
    .options = options,
};

static struct filter filter;
static struct stream_reader *other; /* B */

/* Fail in the name of B. */
static int check_other(int status)
{
    if (status < 0)
        filter.input = other;
    return filter_check(&filter, status);
}

static void open_inputs(enum measure_kind kind)
{
    const char **file = (const char **)filter.file;
    filter_open_input(&filter);
    stream_reader_refuse_nan(filter.input, true);
    if (measure_operands(kind) == 1)
        return;
    check_other(stream_reader_open(&other, file + 1, 1, filter_settings.memory, &filter.error));
    stream_reader_refuse_nan(other, true);
}

/* The next array, or the next two; false at the end of both. */
static bool next_arrays(struct array *a, struct array *b)
{
    bool found = filter_next(&filter, a);
    if (!other)
        return found;
    if (check_other(stream_reader_next(other, b, &filter.error)) != found)
        filter_fail(&filter, "%s arrays than %s", found ? "more" : "fewer",
                    stream_reader_name(other));
    return found;
}

static void measure_arrays(enum measure_kind kind, const struct array *a, const struct array *b,
                           struct measurement *result)
{
    struct measure *measure;
    struct progress progress;
    filter_check(&filter, measure_begin(&measure, kind, background, a, b, &filter.error));
    float *slice_a = filter_allocate(&filter, array_slice_count(a), sizeof *slice_a);
    float *slice_b = b ? filter_allocate(&filter, array_slice_count(b), sizeof *slice_b) : NULL;
    progress_start(&progress, program.name, "slices", array_slices(a), filter_settings.quiet);
    for (int64_t d = 0; d < array_slices(a); d++) {
        filter_read_f32(&filter, slice_a, 1);
        if (b)
            check_other(stream_reader_read_f32(other, slice_b, 1, &filter.error));
        measure_add(measure, slice_a, slice_b);
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    measure_finish(measure, result);
    free(slice_a);
    free(slice_b);
}

static enum measure_kind take_operands(void)
{
    int kind = 0;
    while (measure_names[kind] && strcmp(measure_names[kind], filter.file[0]) != 0)
        kind++;
    if (!measure_names[kind])
        filter_fail(&filter, "%s: no such measure; there are tv, dice, iou, mad, psnr, ssim",
                    filter.file[0]);
    filter.file++;
    filter.files--;
    if (measure_operands(kind) == 1)
        return (enum measure_kind)kind;
    if (filter.files != 2)
        filter_fail(&filter, "%s takes two files, A and B, not %d", measure_names[kind],
                    filter.files);
    if (strcmp(filter.file[0], "-") == 0 && strcmp(filter.file[1], "-") == 0)
        filter_fail(&filter, "stdin cannot be both A and B");
    filter.files = 1; /* the filter's input is A */
    return (enum measure_kind)kind;
}

int main(int argc, char **argv)
{
    filter_start(&filter, &program, argc, argv);
    enum measure_kind kind = take_operands();
    const char *name = measure_names[kind];
    open_inputs(kind);
    struct array a, b;
    for (int64_t index = 0; next_arrays(&a, &b); index++) {
        struct measurement result;
        measure_arrays(kind, &a, other ? &b : NULL, &result);
        if (json)
            filter_check(&filter, report_json(stdout, name, index, &result, &filter.error));
        else
            report_text(stdout, name, &result);
        fflush(stdout);
        measurement_free(&result);
    }
    stream_reader_close(other);
    return filter_finish(&filter);
}
