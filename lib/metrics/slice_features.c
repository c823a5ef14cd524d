#include "lib/metrics/slice_features.h"
#include "lib/models/autoencoder2d.h"
#include "lib/models/inception.h"

#include <stdlib.h>

/* Inception's maps are those of 299×299 whatever the slices are. */
enum { PIXELS_AT_A_TIME = 8 * 128 * 128, SLICES_AT_A_TIME = 16, INCEPTIONS_AT_A_TIME = 8 };

const char *const slice_networks[] = {"encoder", "inception", NULL};
static const char *const network_names[] = {"a 2-D encoder", "the Inception network"};

int slice_network_find(struct weights *weights, int wanted, enum slice_network *network,
                       struct error *error)
{
    struct autoencoder2d_config encoder;
    struct inception_config inception;
    struct error why[SLICE_NETWORKS];
    bool there[SLICE_NETWORKS] = {!encoder2d_read(&encoder, weights, &why[SLICE_ENCODER]),
                                  !inception_read(&inception, weights, &why[SLICE_INCEPTION])};
    enum slice_network found = there[SLICE_INCEPTION] ? SLICE_INCEPTION : SLICE_ENCODER;
    *network = wanted < 0 ? found : (enum slice_network)wanted;
    if (there[*network])
        return 0;
    if (wanted < 0)
        return error_set(error, "the file holds neither %s (%s) nor %s (%s)", network_names[0],
                         why[0].text, network_names[1], why[1].text);
    if (there[found])
        return error_set(error, "the file holds %s, not %s: --features %s, or another file",
                         network_names[found], network_names[wanted], slice_networks[found]);
    *error = why[wanted];
    return -1;
}

static int plan(struct slice_features *features, struct weights *weights,
                const struct stage_settings *settings, struct error *error)
{
    int64_t rows = features->rows, columns = features->columns, batch = features->batch;
    bool inception = features->network == SLICE_INCEPTION;
    int status = inception ? stage_inception(&features->stage, weights, batch, INCEPTION_SIZE,
                                             INCEPTION_SIZE, settings, error)
                           : stage_encode2d_features(&features->stage, weights, batch, rows,
                                                     columns, settings, error);
    if (status)
        return -1;
    const struct stage *stage = &features->stage;
    int64_t map = stage->out_c * stage->out_h * stage->out_w;
    features->input = inception ? INCEPTION_SIZE * INCEPTION_SIZE : rows * columns;
    features->bytes =
        network_memory(stage->network).total +
        (batch * (features->input + map) + inception * rows * columns) * (int64_t)sizeof(float);
    return 0;
}

/* What slices (rows, columns) are resized from. */
static int allocate_slice(struct slice_features *features, struct error *error)
{
    int64_t rows = features->rows, columns = features->columns;
    const struct resize_size size = {
        {1, rows, columns}, {1, rows, columns}, {1, INCEPTION_SIZE, INCEPTION_SIZE}};
    features->slice = calloc((size_t)(rows * columns), sizeof *features->slice);
    if (!features->slice)
        return error_set(error, "out of memory");
    return resize_open(&features->resize, RESIZE_LINEAR, &size, error);
}

static int allocate(struct slice_features *features, struct error *error)
{
    const struct stage *stage = &features->stage;
    size_t batch = (size_t)features->batch, channels = (size_t)stage->out_c;
    features->slices = calloc(batch * (size_t)features->input, sizeof *features->slices);
    features->map =
        calloc(batch * channels * (size_t)(stage->out_h * stage->out_w), sizeof *features->map);
    features->mean = calloc(channels, sizeof *features->mean);
    if (!features->slices || !features->map || !features->mean)
        return error_set(error, "out of memory");
    return features->network == SLICE_INCEPTION ? allocate_slice(features, error) : 0;
}

/* Slices of a call where memory allows as many. */
static int64_t batch_of(const struct slice_features *features)
{
    int64_t batch = PIXELS_AT_A_TIME / features->columns / features->rows;
    if (features->network == SLICE_INCEPTION)
        return INCEPTIONS_AT_A_TIME;
    return batch < 1 ? 1 : batch < SLICES_AT_A_TIME ? batch : SLICES_AT_A_TIME;
}

int slice_features_open(struct slice_features *features, enum slice_network network,
                        struct weights *weights, int64_t rows, int64_t columns, int64_t memory,
                        const struct stage_settings *settings, struct error *error)
{
    struct stage_settings f32 = *settings;
    f32.activations = DTYPE_F32;
    *features = (struct slice_features){.network = network, .rows = rows, .columns = columns};
    features->batch = batch_of(features);
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

static void free_slice(struct slice_features *features)
{
    resize_close(features->resize);
    free(features->slice);
    features->resize = NULL;
    features->slice = NULL;
}

int slice_features_reshape(struct slice_features *features, int64_t rows, int64_t columns,
                           struct error *error)
{
    int64_t more = rows * columns - features->rows * features->columns;
    free_slice(features);
    features->rows = rows;
    features->columns = columns;
    features->bytes += more * (int64_t)sizeof(float);
    return allocate_slice(features, error);
}

void slice_features_close(struct slice_features *features)
{
    stage_close(&features->stage);
    free_slice(features);
    free(features->slices);
    free(features->map);
    free(features->mean);
    *features = (struct slice_features){0};
}

static float *input_of(struct slice_features *features)
{
    return features->slices + features->held * features->input;
}

float *slice_features_place(struct slice_features *features)
{
    return features->slice ? features->slice : input_of(features);
}

int slice_features_add(struct slice_features *features, struct feature_set *set,
                       struct error *error)
{
    if (features->resize) {
        resize_restart(features->resize);
        resize_put(features->resize, features->slice);
        resize_take(features->resize, input_of(features));
    }
    return ++features->held < features->batch ? 0 : slice_features_flush(features, set, error);
}

int slice_features_flush(struct slice_features *features, struct feature_set *set,
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
        if (feature_set_add(set, features->mean, stage->out_c, error))
            return -1;
    }
    features->held = 0;
    return 0;
}
