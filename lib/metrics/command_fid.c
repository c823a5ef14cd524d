#include "lib/core/progress.h"
#include "lib/metrics/command.h"
#include "lib/metrics/report.h"
#include "lib/metrics/slice_features.h"
#include "lib/models/stage_filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const command_planes[] = {"all", "intra", "inter", NULL};
const char *const command_features[] = {"encoder", NULL};

enum { INTRA, INTER, KINDS, SETS = 2 };
static const char *const kind_names[KINDS] = {"intra", "inter"};

static struct filter *filter;
static bool wanted[KINDS];
static struct weights *weights;
static struct stage_settings stage;
static struct slice_features features;
static struct moments moments[SETS][KINDS];

/* The axes of the slices along D, H and W. Those along W are (H,D), so that layers lie in them as
 * they do in (H,W), the slices that the encoder learns from. */
static const struct plane {
    int kind, rows, columns;
    const char *axes;
} planes[3] = {{INTRA, 1, 2, "(H,W)"}, {INTER, 0, 2, "(D,W)"}, {INTER, 1, 0, "(H,D)"}};

/* Plan the network for slices along an axis, unless it is planned for such already. `held` bytes
 * are taken beside it. */
static void open_features(const struct array *in, int axis, int64_t held)
{
    const struct plane *plane = &planes[axis];
    int64_t rows = in->shape[plane->rows], columns = in->shape[plane->columns];
    if (features.rows == rows && features.columns == columns)
        return;
    slice_features_close(&features);
    int64_t allowed = filter_settings.memory > held ? filter_settings.memory - held : 1;
    if (slice_features_open(&features, weights, rows, columns, filter_settings.memory ? allowed : 0,
                            &stage, &filter->error))
        filter_check(filter, error_prefix(&filter->error, "slices %s of %lldx%lld", plane->axes,
                                          (long long)rows, (long long)columns));
    stage_filter_plan(filter, &features.stage, features.bytes + held);
}

/* Slice `index` along an axis of a volume; along D the volume may begin with that slice. */
static void take_slice(const float *volume, const int64_t *shape, int axis, int64_t index,
                       float *to)
{
    const int64_t stride[3] = {shape[1] * shape[2], shape[2], 1};
    const struct plane *plane = &planes[axis];
    const float *from = volume + index * stride[axis];
    for (int64_t row = 0; row < shape[plane->rows]; row++)
        for (int64_t column = 0; column < shape[plane->columns]; column++)
            *to++ = from[row * stride[plane->rows] + column * stride[plane->columns]];
}

static void add_slice(int set, const float *volume, const int64_t *shape, int axis, int64_t index)
{
    struct moments *to = &moments[set][planes[axis].kind];
    take_slice(volume, shape, axis, index, slice_features_place(&features));
    if (!to->features)
        filter_check(filter, moments_open(to, features.stage.out_c, &filter->error));
    filter_check(filter, slice_features_add(&features, to, &filter->error));
}

static void flush(int set, int kind)
{
    filter_check(filter, slice_features_flush(&features, &moments[set][kind], &filter->error));
}

/* Read a volume; slices along D go through the network as they come. */
static void read_volume(int set, const struct array *in, float *volume, struct progress *progress)
{
    for (int64_t d = 0; d < in->shape[0]; d++) {
        float *slice = volume + (wanted[INTER] ? d * array_slice_count(in) : 0);
        stage_filter_read_volume(filter, in, slice, 1);
        if (wanted[INTRA]) {
            add_slice(set, slice, in->shape, 0, 0);
            progress_advance(progress, 1);
        }
    }
    if (wanted[INTRA])
        flush(set, INTRA);
}

static void add_volume(int set, const struct array *in)
{
    const int64_t *shape = in->shape;
    int64_t held = (wanted[INTER] ? shape[0] : 1) * array_slice_count(in);
    int64_t bytes = held * (int64_t)sizeof(float);
    struct progress progress;
    filter_expect_volume(filter, in);
    for (int axis = 2; axis >= 0; axis--) /* what does not fit is refused before any work */
        if (wanted[planes[axis].kind])
            open_features(in, axis, bytes);
    float *volume = filter_allocate(filter, held, sizeof *volume);
    progress_start(&progress, filter->program->name, "slices",
                   wanted[INTRA] * shape[0] + wanted[INTER] * (shape[1] + shape[2]),
                   filter_settings.quiet);
    read_volume(set, in, volume, &progress);
    for (int axis = 1; axis < 3 && wanted[INTER]; axis++) {
        open_features(in, axis, bytes);
        for (int64_t index = 0; index < shape[axis]; index++) {
            add_slice(set, volume, shape, axis, index);
            progress_advance(&progress, 1);
        }
        flush(set, INTER);
    }
    progress_finish(&progress);
    free(volume);
}

static void report(const char *by, int kind, enum report_format format)
{
    const struct moments *a = &moments[0][kind], *b = &moments[1][kind];
    const int64_t slices[SETS] = {a->count, b->count};
    char name[64];
    double distance;
    snprintf(name, sizeof name, "fid-%s-%s", by, kind_names[kind]);
    filter_check(filter, frechet_distance(a, b, &distance, &filter->error));
    for (int set = 0; set < SETS; set++)
        if (slices[set] <= a->features)
            filter_note(filter,
                        "%s: %lld slices of %c do not span %lld features: the distance "
                        "depends on their number",
                        name, (long long)slices[set], 'A' + set, (long long)a->features);
    if (format == REPORT_TSV)
        report_tsv(stdout, name, distance, NAN, slices[0], slices[1]);
    else if (format == REPORT_TEXT)
        report_distance_text(stdout, name, distance, slices);
    else
        filter_check(filter, report_distance_json(stdout, name, distance, slices, a->features,
                                                  &filter->error));
}

void command_fid(struct filter *of, const struct command_settings *settings)
{
    struct file_list list[SETS] = {0};
    struct array in;
    filter = of;
    wanted[INTRA] = settings->plane != PLANE_INTER;
    wanted[INTER] = settings->plane != PLANE_INTRA;
    if (!filter_settings.weights)
        filter_fail(filter, "fid takes the features of an encoder: -w FILE");
    command_pair(filter, "fid", list);
    weights = stage_filter_weights(filter);
    stage = stage_filter_settings(filter);
    for (int set = 0; set < SETS; set++) {
        command_read(filter, &list[set]);
        while (filter_next(filter, &in))
            add_volume(set, &in);
    }
    command_done(filter, list);
    stage_filter_peak(filter);
    slice_features_close(&features);
    weights_close(weights);
    for (int kind = 0; kind < KINDS; kind++) {
        if (wanted[kind])
            report(command_features[settings->features], kind, settings->format);
        moments_close(&moments[0][kind]);
        moments_close(&moments[1][kind]);
    }
}
