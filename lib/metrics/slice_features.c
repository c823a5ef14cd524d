#include "lib/metrics/slice_features.h"

#include <stdlib.h>

enum { PIXELS_AT_A_TIME = 8 * 128 * 128, SLICES_AT_A_TIME = 16 };

static int plan(struct slice_features *features, struct weights *weights,
                const struct stage_settings *settings, struct error *error)
{
    int64_t rows = features->rows, columns = features->columns;
    if (stage_encode2d_features(&features->stage, weights, features->batch, rows, columns, settings,
                                error))
        return -1;
    const struct stage *stage = &features->stage;
    int64_t map = stage->out_c * stage->out_h * stage->out_w;
    features->bytes = network_memory(stage->network).total +
                      features->batch * (rows * columns + map) * (int64_t)sizeof(float);
    return 0;
}

static int allocate(struct slice_features *features, struct error *error)
{
    const struct stage *stage = &features->stage;
    size_t batch = (size_t)features->batch, channels = (size_t)stage->out_c;
    features->slices =
        calloc(batch * (size_t)(features->rows * features->columns), sizeof *features->slices);
    features->map =
        calloc(batch * channels * (size_t)(stage->out_h * stage->out_w), sizeof *features->map);
    features->mean = calloc(channels, sizeof *features->mean);
    return features->slices && features->map && features->mean ? 0
                                                               : error_set(error, "out of memory");
}

int slice_features_open(struct slice_features *features, struct weights *weights, int64_t rows,
                        int64_t columns, int64_t memory, const struct stage_settings *settings,
                        struct error *error)
{
    struct stage_settings f32 = *settings;
    f32.activations = DTYPE_F32;
    int64_t batch = PIXELS_AT_A_TIME / columns / rows;
    *features = (struct slice_features){.rows = rows, .columns = columns};
    features->batch = batch < 1 ? 1 : batch < SLICES_AT_A_TIME ? batch : SLICES_AT_A_TIME;
    int status = plan(features, weights, &f32, error);
    if (status == 0 && memory && features->bytes > memory && features->batch > 1) {
        stage_close(&features->stage);
        features->batch = 1;
        status = plan(features, weights, &f32, error);
    }
    if (status < 0 || allocate(features, error) < 0) {
        slice_features_close(features);
        return -1;
    }
    return 0;
}

void slice_features_close(struct slice_features *features)
{
    stage_close(&features->stage);
    free(features->slices);
    free(features->map);
    free(features->mean);
    *features = (struct slice_features){0};
}

float *slice_features_place(struct slice_features *features)
{
    return features->slices + features->held * features->rows * features->columns;
}

int slice_features_add(struct slice_features *features, struct moments *moments,
                       struct error *error)
{
    return ++features->held < features->batch ? 0 : slice_features_flush(features, moments, error);
}

int slice_features_flush(struct slice_features *features, struct moments *moments,
                         struct error *error)
{
    const struct stage *stage = &features->stage;
    int64_t places = stage->out_h * stage->out_w;
    if (features->held == 0)
        return 0;
    if (network_run(stage->network, (const void *const[]){features->slices},
                    (void *const[]){features->map}, error) < 0)
        return -1;
    const float *channel = features->map;
    for (int64_t slice = 0; slice < features->held; slice++) {
        for (int64_t c = 0; c < stage->out_c; c++, channel += places) {
            double sum = 0;
            for (int64_t i = 0; i < places; i++)
                sum += channel[i];
            features->mean[c] = sum / (double)places;
        }
        moments_add(moments, features->mean);
    }
    features->held = 0;
    return 0;
}
