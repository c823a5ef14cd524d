#include "lib/core/progress.h"
#include "lib/metrics/command.h"
#include "lib/metrics/report.h"
#include "lib/metrics/resample.h"
#include "lib/metrics/slice_features.h"
#include "lib/models/stage_filter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const command_planes[] = {"all", "intra", "inter", NULL};
const char *const command_features[] = {"auto", "encoder", "inception", NULL};

enum { INTRA, INTER, KINDS, SETS = 2 };
static const char *const kind_names[KINDS] = {"intra", "inter"};

static struct filter *filter;
static bool wanted[KINDS];
static struct weights *weights;
static struct stage_settings stage;
static enum slice_network network;
static struct slice_features features;
static struct feature_set sets[SETS][KINDS];

/* The axes of the slices along D, H and W. Those along W are (H,D), so that layers lie in them as
 * they do in (H,W), the slices that the encoder learns from. */
static const struct plane {
    int kind, rows, columns;
    const char *axes;
} planes[3] = {{INTRA, 1, 2, "(H,W)"}, {INTER, 0, 2, "(D,W)"}, {INTER, 1, 0, "(H,D)"}};

/* Take slices (rows, columns); Inception's network is the same for all, where memory allows. */
static int reopen(int64_t rows, int64_t columns, int64_t held)
{
    int64_t allowed = filter_settings.memory > held ? filter_settings.memory - held : 1;
    if (features.rows && network == SLICE_INCEPTION) {
        if (slice_features_reshape(&features, rows, columns, &filter->error))
            return -1;
        if (!filter_settings.memory || features.bytes <= allowed)
            return 0;
    }
    slice_features_close(&features);
    return slice_features_open(&features, network, weights, rows, columns,
                               filter_settings.memory ? allowed : 0, &stage, &filter->error);
}

/* Plan the network for slices along an axis, unless it is planned for such already. `held` bytes
 * are taken beside it. */
static void open_features(const struct array *in, int axis, int64_t held)
{
    const struct plane *plane = &planes[axis];
    int64_t rows = in->shape[plane->rows], columns = in->shape[plane->columns];
    if (features.rows == rows && features.columns == columns)
        return;
    if (reopen(rows, columns, held))
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

/* What is kept of the features, and what else is held, fit --memory. */
static void check_memory(int64_t held)
{
    int64_t bytes = held + features.bytes;
    for (int set = 0; set < SETS; set++)
        for (int kind = 0; kind < KINDS; kind++)
            bytes += feature_set_bytes(&sets[set][kind]);
    if (filter_settings.memory && bytes > filter_settings.memory)
        filter_fail(filter,
                    "what is kept of the features takes %lld bytes with what else is held, "
                    "beyond --memory",
                    (long long)bytes);
}

static void add_slice(int set, const float *volume, const int64_t *shape, int axis, int64_t index)
{
    struct feature_set *to = &sets[set][planes[axis].kind];
    take_slice(volume, shape, axis, index, slice_features_place(&features));
    filter_check(filter, slice_features_add(&features, to, &filter->error));
}

static void flush(int set, int kind)
{
    filter_check(filter, slice_features_flush(&features, &sets[set][kind], &filter->error));
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
    check_memory(bytes);
}

static void put(const struct distance_report *r, enum report_format format)
{
    if (format == REPORT_TSV)
        report_distance_tsv(stdout, r);
    else if (format == REPORT_TEXT)
        report_distance_text(stdout, r);
    else
        filter_check(filter, report_distance_json(stdout, r, &filter->error));
    fflush(stdout);
}

static void report_fid(const char *name, struct feature_set *a, struct feature_set *b,
                       const struct command_settings *settings)
{
    struct distance_report r = {.name = name,
                                .deviation = NAN,
                                .interval = {NAN, NAN},
                                .slices = {a->count, b->count},
                                .features = a->features};
    const struct vectors of[SETS] = {feature_set_vectors(a), feature_set_vectors(b)};
    filter_check(filter, frechet_distance(&a->moments, &b->moments, &r.value, &filter->error));
    for (int set = 0; set < SETS; set++)
        if (r.slices[set] <= r.features)
            filter_note(filter,
                        "%s: %lld slices of %c do not span %lld features: the distance "
                        "depends on their number",
                        name, (long long)r.slices[set], 'A' + set, (long long)r.features);
    if (settings->bootstrap)
        filter_check(filter, resample_frechet(&of[0], &of[1], (uint64_t)settings->seed,
                                              settings->bootstrap, r.interval, &filter->error));
    put(&r, settings->format);
}

static void report_kid(const char *name, struct feature_set *a, struct feature_set *b,
                       const struct command_settings *settings)
{
    struct spread spread = {0};
    struct distance_report r = {.name = name,
                                .interval = {NAN, NAN},
                                .slices = {a->count, b->count},
                                .features = a->features};
    const struct vectors of[SETS] = {feature_set_vectors(a), feature_set_vectors(b)};
    uint64_t seed = (uint64_t)settings->seed;
    int64_t least = a->count < b->count ? a->count : b->count, size = settings->subset_size;
    if (least < 2)
        filter_fail(filter, "sets of %lld and %lld slices: %s takes at least two",
                    (long long)a->count, (long long)b->count, name);
    if (size > least) {
        size = least;
        filter_note(filter, "%s: subsets of %lld slices, as many as the smaller set has", name,
                    (long long)size);
    }
    filter_check(filter, resample_kid_subsets(&of[0], &of[1], seed, settings->subsets, size,
                                              &spread, &filter->error));
    r.value = spread.mean;
    r.deviation = spread_deviation(&spread);
    if (settings->bootstrap)
        filter_check(filter, resample_kid(&of[0], &of[1], seed, settings->bootstrap, r.interval,
                                          &filter->error));
    put(&r, settings->format);
}

static void open_weights(const char *measure, const struct command_settings *settings)
{
    if (!filter_settings.weights)
        filter_fail(filter, "%s takes the features of a network: -w FILE", measure);
    weights = stage_filter_weights(filter);
    stage = stage_filter_settings(filter);
    if (slice_network_find(weights, settings->features - 1, &network, &filter->error))
        filter_fail(filter, "%s: %s", filter_settings.weights, filter->error.text);
}

/* Read both sets and report each plane's distance. */
static void command_distance(const char *measure, bool moments, bool vectors,
                             void report(const char *, struct feature_set *, struct feature_set *,
                                         const struct command_settings *),
                             const struct command_settings *settings)
{
    struct file_list list[SETS] = {0};
    struct array in;
    char name[64];
    wanted[INTRA] = settings->plane != PLANE_INTER;
    wanted[INTER] = settings->plane != PLANE_INTRA;
    open_weights(measure, settings);
    command_pair(filter, measure, list);
    for (int set = 0; set < SETS; set++) {
        for (int kind = 0; kind < KINDS; kind++)
            sets[set][kind] =
                (struct feature_set){.takes_moments = moments, .keeps_vectors = vectors};
        command_read(filter, &list[set]);
        while (filter_next(filter, &in))
            add_volume(set, &in);
    }
    command_done(filter, list);
    slice_features_close(&features);
    weights_close(weights);
    for (int kind = 0; kind < KINDS; kind++) {
        snprintf(name, sizeof name, "%s-%s-%s", measure, slice_networks[network], kind_names[kind]);
        if (wanted[kind])
            report(name, &sets[0][kind], &sets[1][kind], settings);
        feature_set_close(&sets[0][kind]);
        feature_set_close(&sets[1][kind]);
    }
    stage_filter_peak(filter);
}

void command_fid(struct filter *of, const struct command_settings *settings)
{
    filter = of;
    command_distance("fid", true, settings->bootstrap > 0, report_fid, settings);
}

void command_kid(struct filter *of, const struct command_settings *settings)
{
    filter = of;
    command_distance("kid", false, true, report_kid, settings);
}
