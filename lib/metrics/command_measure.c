#include "lib/core/progress.h"
#include "lib/metrics/command.h"
#include "lib/metrics/report.h"

#include <stdlib.h>
#include <string.h>

void command_pair(struct filter *filter, const char *measure, struct file_list list[2])
{
    if (filter->files != 2)
        filter_fail(filter, "%s takes two files, A and B, not %d", measure, filter->files);
    if (strcmp(filter->file[0], "-") == 0 && strcmp(filter->file[1], "-") == 0)
        filter_fail(filter, "stdin cannot be both A and B");
    for (int i = 0; i < 2; i++)
        filter_check(filter, file_list_make(&list[i], filter->file + i, 1, &filter->error));
}

void command_read(struct filter *filter, const struct file_list *list)
{
    stream_reader_close(filter->input);
    filter->input = NULL;
    filter->files = list->count;
    filter->file = list->path;
    filter_open_input(filter);
    stream_reader_refuse_nan(filter->input, true);
}

void command_done(struct filter *filter, struct file_list list[2])
{
    stream_reader_close(filter->input);
    filter->input = NULL;
    file_list_free(&list[0]);
    file_list_free(&list[1]);
}

static struct stream_reader *other; /* B */

/* Fail in the name of B. */
static int check_other(struct filter *filter, int status)
{
    if (status < 0)
        filter->input = other;
    return filter_check(filter, status);
}

/* The next array, or the next two; false at the end of both. */
static bool next_arrays(struct filter *filter, struct array *a, struct array *b)
{
    bool found = filter_next(filter, a);
    if (!other)
        return found;
    if (check_other(filter, stream_reader_next(other, b, &filter->error)) != found)
        filter_fail(filter, "%s arrays than %s", found ? "more" : "fewer",
                    stream_reader_name(other));
    return found;
}

static void measure_arrays(struct filter *filter, enum measure_kind kind, bool background,
                           const struct array *a, const struct array *b, struct measurement *result)
{
    struct measure *measure;
    struct progress progress;
    filter_check(filter, measure_begin(&measure, kind, background, a, b, &filter->error));
    float *slice_a = filter_allocate(filter, array_slice_count(a), sizeof *slice_a);
    float *slice_b = b ? filter_allocate(filter, array_slice_count(b), sizeof *slice_b) : NULL;
    progress_start(&progress, filter->program->name, "slices", array_slices(a),
                   filter_settings.quiet);
    for (int64_t d = 0; d < array_slices(a); d++) {
        filter_read_f32(filter, slice_a, 1);
        if (b)
            check_other(filter, stream_reader_read_f32(other, slice_b, 1, &filter->error));
        measure_add(measure, slice_a, slice_b);
        progress_advance(&progress, 1);
    }
    progress_finish(&progress);
    measure_finish(measure, result);
    free(slice_a);
    free(slice_b);
}

static void open_inputs(struct filter *filter, enum measure_kind kind, struct file_list list[2])
{
    if (measure_operands(kind) == 1) {
        filter_check(filter, file_list_make(list, filter->file, filter->files, &filter->error));
        command_read(filter, list);
        return;
    }
    command_pair(filter, measure_names[kind], list);
    command_read(filter, list);
    check_other(filter, stream_reader_open(&other, (const char *const *)list[1].path, list[1].count,
                                           filter_settings.memory, &filter->error));
    stream_reader_refuse_nan(other, true);
}

void command_measure(struct filter *filter, enum measure_kind kind,
                     const struct command_settings *settings)
{
    const char *name = measure_names[kind];
    struct file_list list[2] = {0};
    struct spread spread = {0};
    struct array a, b;
    open_inputs(filter, kind, list);
    for (int64_t index = 0; next_arrays(filter, &a, &b); index++) {
        struct measurement result;
        measure_arrays(filter, kind, settings->background, &a, other ? &b : NULL, &result);
        spread_add(&spread, result.value);
        if (settings->format == REPORT_JSON)
            filter_check(filter, report_json(stdout, name, index, &result, &filter->error));
        else if (settings->format == REPORT_TEXT)
            report_text(stdout, name, &result);
        fflush(stdout);
        measurement_free(&result);
    }
    if (settings->format == REPORT_TSV)
        report_tsv(stdout, name, spread.mean, spread_deviation(&spread), spread.count, 0);
    stream_reader_close(other);
    command_done(filter, list);
}
