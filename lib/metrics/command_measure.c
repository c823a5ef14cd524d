#include "lib/core/progress.h"
#include "lib/metrics/command.h"
#include "lib/metrics/pairs.h"
#include "lib/metrics/report.h"
#include "lib/models/stage_filter.h"

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

void command_expect_shape(struct filter *filter, const struct array *in, struct array *first)
{
    char text[128], expected[128];
    filter_expect_volume(filter, in);
    if (!first->rank)
        *first = *in;
    if (memcmp(in->shape, first->shape, sizeof in->shape) != 0)
        filter_fail(filter, "shapes differ: %s and %s", array_describe(in, text, sizeof text),
                    array_describe(first, expected, sizeof expected));
}

static struct stream_reader *other; /* B */
static struct perceptual perceptual;

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

/* Measure the arrays at hand, slice by slice. */
static void measure_arrays(struct filter *filter, enum measure_kind kind,
                           const struct measure_settings *settings, const struct array *a,
                           const struct array *b, struct progress *progress,
                           struct measurement *result)
{
    struct measure *measure;
    filter_check(filter, measure_begin(&measure, kind, settings, a, b, &filter->error));
    if (kind == MEASURE_LPIPS)
        stage_filter_plan(filter, &perceptual.stage, perceptual.bytes);
    float *slice_a = filter_allocate(filter, array_slice_count(a), sizeof *slice_a);
    float *slice_b = b ? filter_allocate(filter, array_slice_count(b), sizeof *slice_b) : NULL;
    for (int64_t d = 0; d < array_slices(a); d++) {
        filter_read_f32(filter, slice_a, 1);
        if (b)
            check_other(filter, stream_reader_read_f32(other, slice_b, 1, &filter->error));
        filter_check(filter, measure_add(measure, slice_a, slice_b, &filter->error));
        progress_advance(progress, 1);
    }
    measure_finish(measure, result);
    free(slice_a);
    free(slice_b);
}

static void open_other(struct filter *filter, char *const *path, int count, bool refuse_nan)
{
    stream_reader_close(other);
    other = NULL;
    filter_check(filter, stream_reader_open(&other, (const char *const *)path, count,
                                            filter_settings.memory, &filter->error));
    stream_reader_refuse_nan(other, refuse_nan);
}

static void open_inputs(struct filter *filter, enum measure_kind kind, struct file_list list[2])
{
    bool refuse_nan = kind != MEASURE_MAD;
    if (measure_operands(kind) == 1) {
        filter_check(filter, file_list_make(list, filter->file, filter->files, &filter->error));
        command_read(filter, list);
        return;
    }
    command_pair(filter, measure_names[kind], list);
    command_read(filter, list);
    stream_reader_refuse_nan(filter->input, refuse_nan);
    open_other(filter, list[1].path, list[1].count, refuse_nan);
}

static struct measure_settings measure_settings(struct filter *filter, enum measure_kind kind,
                                                const struct command_settings *settings)
{
    struct measure_settings result = {.background = settings->background,
                                      .tv = (enum total_variation_kind)settings->variation,
                                      .scales = (int)settings->scales,
                                      .perceptual = &perceptual};
    if (kind == MEASURE_LPIPS) {
        if (!filter_settings.weights)
            filter_fail(filter, "lpips takes the weights of VGG-16 and LPIPS: -w FILE");
        perceptual.weights = stage_filter_weights(filter);
        perceptual.settings = stage_filter_settings(filter);
    }
    return result;
}

/* What stands behind the lines of single arrays. */
static void report_all(struct filter *filter, const char *name, const struct spreads *spreads,
                       int64_t left_out, enum report_format format)
{
    if (format == REPORT_TSV)
        report_spreads_tsv(stdout, name, spreads);
    else if (spreads->arrays > 1 && format == REPORT_TEXT)
        report_spreads_text(stdout, name, spreads);
    else if (spreads->arrays > 1)
        filter_check(filter, report_spreads_json(stdout, name, spreads, &filter->error));
    if (left_out)
        filter_note(filter, "%s: %lld positions where A or B has no surface are left out", name,
                    (long long)left_out);
}

void command_measure(struct filter *filter, enum measure_kind kind,
                     const struct command_settings *settings)
{
    const struct measure_settings chosen = measure_settings(filter, kind, settings);
    char name[MEASURE_NAME];
    struct file_list list[2] = {0};
    struct spreads spreads = {0};
    struct progress progress;
    struct array a, b;
    int64_t left_out = 0;
    measure_name(kind, &chosen, name);
    open_inputs(filter, kind, list);
    for (int64_t index = 0; next_arrays(filter, &a, &b); index++) {
        struct measurement result;
        progress_start(&progress, filter->program->name, "slices", array_slices(&a),
                       filter_settings.quiet);
        measure_arrays(filter, kind, &chosen, &a, other ? &b : NULL, &progress, &result);
        progress_finish(&progress);
        filter_check(filter, spreads_add(&spreads, &result, &filter->error));
        left_out += result.left_out;
        if (settings->format == REPORT_JSON)
            filter_check(filter, report_json(stdout, name, index, &result, &filter->error));
        else if (settings->format == REPORT_TEXT)
            report_text(stdout, name, &result);
        fflush(stdout);
        measurement_free(&result);
    }
    stream_reader_close(other);
    command_done(filter, list);
    report_all(filter, name, &spreads, left_out, settings->format);
    spreads_free(&spreads);
    perceptual_close(&perceptual);
    weights_close(perceptual.weights);
}

/* Where a volume of a set is: the file, and how many arrays are before it there. */
struct place {
    int file;
    int64_t arrays;
};

/* Find all volumes of the files; the caller frees the places. */
static struct place *find_volumes(struct filter *filter, struct file_list *list, int64_t *volumes,
                                  struct array *first)
{
    struct place *place = NULL;
    struct array in;
    *volumes = 0;
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->path[i], "-") == 0)
            filter_fail(filter, "the volumes are read more than once: files, not stdin");
        command_read(filter, &(struct file_list){1, &list->path[i]});
        for (int64_t arrays = 0; filter_next(filter, &in); arrays++) {
            struct place *longer = realloc(place, (size_t)(*volumes + 1) * sizeof *longer);
            if (!longer)
                filter_fail(filter, "out of memory");
            place = longer;
            place[(*volumes)++] = (struct place){i, arrays};
            command_expect_shape(filter, &in, first);
        }
    }
    if (*volumes < 2)
        filter_fail(filter, "pairs take two volumes at least");
    return place;
}

/* Open both volumes of a pair. */
static void open_pair(struct filter *filter, const struct file_list *list, const struct place *a,
                      const struct place *b, struct array array[2])
{
    command_read(filter, &(struct file_list){1, &list->path[a->file]});
    open_other(filter, &list->path[b->file], 1, true);
    for (int64_t i = 0; i <= a->arrays; i++)
        if (!filter_next(filter, &array[0]))
            filter_fail(filter, "the file has become shorter");
    for (int64_t i = 0; i <= b->arrays; i++)
        if (check_other(filter, stream_reader_next(other, &array[1], &filter->error)) == 0)
            filter_fail(filter, "%s has become shorter", stream_reader_name(other));
}

static void report_diversity(struct filter *filter, const char *name, const struct spread *spread,
                             int64_t volumes, enum report_format format)
{
    if (format == REPORT_TSV)
        report_tsv(stdout, name, spread->mean, spread_deviation(spread), spread->count, 0);
    else if (format == REPORT_TEXT)
        report_pairs_text(stdout, name, spread, volumes);
    else
        filter_check(filter, report_pairs_json(stdout, name, spread, volumes, &filter->error));
}

void command_diversity(struct filter *filter, const struct command_settings *settings)
{
    const struct measure_settings chosen = {.scales = (int)settings->scales};
    char similarity[MEASURE_NAME], name[MEASURE_NAME + 16];
    struct file_list list = {0};
    struct spread spread = {0};
    struct progress progress;
    struct array first = {0}, array[2];
    struct pair *pair;
    int64_t volumes;
    filter_check(filter, file_list_make(&list, filter->file, filter->files, &filter->error));
    if (list.count == 0)
        filter_fail(filter, "ms-ssim-diversity takes files or folders, not stdin");
    struct place *place = find_volumes(filter, &list, &volumes, &first);
    int64_t count =
        filter_check(filter, (int)pairs_choose(&pair, volumes, settings->pairs,
                                               (uint64_t)settings->seed, &filter->error));
    progress_start(&progress, filter->program->name, "slices", count * first.shape[0],
                   filter_settings.quiet);
    for (int64_t i = 0; i < count; i++) {
        struct measurement result;
        open_pair(filter, &list, &place[pair[i].first], &place[pair[i].second], array);
        measure_arrays(filter, MEASURE_MS_SSIM, &chosen, &array[0], &array[1], &progress, &result);
        spread_add(&spread, result.value);
    }
    progress_finish(&progress);
    stream_reader_close(other);
    stream_reader_close(filter->input);
    filter->input = NULL;
    snprintf(name, sizeof name, "%s-diversity", measure_name(MEASURE_MS_SSIM, &chosen, similarity));
    report_diversity(filter, name, &spread, volumes, settings->format);
    file_list_free(&list);
    free(place);
    free(pair);
}
