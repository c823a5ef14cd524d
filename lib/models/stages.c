#include "lib/models/stages.h"
#include "lib/engine/upsampling.h"
#include "lib/models/autoencoder2d.h"
#include "lib/models/inception.h"
#include "lib/models/loss_layers.h"
#include "lib/models/lpips.h"
#include "lib/models/nhae.h"

#include <stdio.h>

/* Refuse an extent that is not a multiple of `multiple`, naming the neighbours that are. */
static int check_multiple(const char *axis, int64_t extent, int64_t multiple, struct error *error)
{
    long long below = extent / multiple * multiple, above = below + multiple;
    if (extent > 0 && extent % multiple == 0)
        return 0;
    if (below == 0)
        return error_set(error, "%s = %lld does not fit; %lld is the smallest that does", axis,
                         (long long)extent, above);
    return error_set(error, "%s = %lld is not a multiple of %lld; %lld or %lld fit (pad, crop)",
                     axis, (long long)extent, (long long)multiple, below, above);
}

static int check_map(int64_t h, int64_t w, int64_t multiple, struct error *error)
{
    if (check_multiple("H", h, multiple, error) || check_multiple("W", w, multiple, error))
        return -1;
    return 0;
}

/* Turn a graph with its output into a network. */
static int finish_output(struct stage *stage, struct builder *b, int output,
                         const struct stage_settings *settings, struct error *error)
{
    if (b->failed) {
        graph_destroy(b->graph);
        return -1;
    }
    graph_fuse_upsampling(b->graph);
    struct shape shape = graph_tensor(b->graph, output).shape;
    *stage = (struct stage){NULL, shape.n * shape.d, shape.c, shape.h, shape.w};
    return network_create(&stage->network, b->graph, settings->backend, error);
}

/* The same, of a map that becomes the output in the stream's layout. */
static int finish(struct stage *stage, struct builder *b, int output,
                  const struct stage_settings *settings, struct error *error)
{
    layer_output(b, output);
    return finish_output(stage, b, output, settings, error);
}

static int start(struct builder *b, struct weights *weights, enum dtype activations,
                 struct error *error)
{
    *b = (struct builder){graph_create(activations), weights, error, false};
    return b->graph ? 0 : error_set(error, "out of memory");
}

int stage_encode3d(struct stage *stage, struct weights *weights, int64_t d, int64_t h, int64_t w,
                   const struct stage_settings *settings, struct error *error)
{
    struct encoder3d_config config;
    struct builder b;
    if (encoder3d_read(&config, weights, error))
        return -1;
    int64_t multiple = (int64_t)1 << config.levels;
    if (check_multiple("D", d, multiple, error) || check_map(h, w, multiple, error) ||
        start(&b, weights, settings->activations, error))
        return -1;
    int x = layer_input(&b, 1, d, 1, h, w);
    x = layer_channels_last(&b, &x, 1, false);
    return finish(stage, &b, encoder3d_build(&b, &config, x), settings, error);
}

/* Open a part of the 2-D encoder: all of it, or up to its last hidden map. */
static int encode_slices(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                         int64_t w,
                         int build(struct builder *, const struct autoencoder2d_config *, int),
                         const struct stage_settings *settings, struct error *error)
{
    struct autoencoder2d_config config;
    struct builder b;
    if (encoder2d_read(&config, weights, error) ||
        check_map(h, w, (int64_t)1 << (config.levels - 1), error) ||
        start(&b, weights, settings->activations, error))
        return -1;
    int x = layer_input(&b, slices, 1, 1, h, w);
    x = layer_channels_last(&b, &x, 1, false);
    return finish(stage, &b, build(&b, &config, x), settings, error);
}

int stage_encode2d(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                   int64_t w, const struct stage_settings *settings, struct error *error)
{
    return encode_slices(stage, weights, slices, h, w, encoder2d_build, settings, error);
}

int stage_encode2d_features(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                            int64_t w, const struct stage_settings *settings, struct error *error)
{
    return encode_slices(stage, weights, slices, h, w, encoder2d_features_build, settings, error);
}

int stage_inception(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                    int64_t w, const struct stage_settings *settings, struct error *error)
{
    struct inception_config config;
    struct builder b;
    if (inception_read(&config, weights, error))
        return -1;
    if (h < INCEPTION_LEAST || w < INCEPTION_LEAST)
        return error_set(error, "slices of %lldx%lld are below the Inception network's %dx%d",
                         (long long)h, (long long)w, INCEPTION_LEAST, INCEPTION_LEAST);
    if (start(&b, weights, DTYPE_F32, error))
        return -1;
    int grey = layer_input(&b, slices, 1, 1, h, w);
    int x = layer_channels_last(&b, (const int[INCEPTION_COLOURS]){grey, grey, grey},
                                INCEPTION_COLOURS, true);
    return finish(stage, &b, inception_build(&b, &config, x), settings, error);
}

static int check_channels(int64_t channels, int64_t wanted, struct error *error)
{
    if (channels == wanted)
        return 0;
    return error_set(error, "the latent has %lld channels, the weights are for %lld",
                     (long long)channels, (long long)wanted);
}

int stage_latent_sr(struct stage *stage, struct weights *weights, int64_t d, int64_t c, int64_t h,
                    int64_t w, const struct stage_settings *settings, struct error *error)
{
    struct latent_sr_config config;
    struct builder b;
    if (latent_sr_read(&config, weights, error) || check_channels(c, config.channels, error) ||
        start(&b, weights, settings->activations, error))
        return -1;
    int z = layer_input(&b, 1, d, c, h, w);
    z = layer_channels_last(&b, &z, 1, true);
    return finish(stage, &b, latent_sr_build(&b, &config, z), settings, error);
}

int stage_decode_has_adaptors(struct weights *weights, struct error *error)
{
    struct autoencoder2d_config config;
    return decoder2d_read(&config, weights, error) ? -1 : config.adaptors;
}

int stage_decode_slices(struct stage *stage, struct weights *weights, int64_t window,
                        struct layer_slices kept, int64_t c, int64_t h, int64_t w,
                        const struct stage_settings *settings, struct error *error)
{
    struct autoencoder2d_config config;
    struct builder b;
    if (decoder2d_read(&config, weights, error) || check_channels(c, config.channels, error) ||
        start(&b, weights, settings->activations, error))
        return -1;
    config.kept = kept;
    int z = layer_input(&b, 1, window, c, h, w);
    z = layer_channels_last(&b, &z, 1, true);
    return finish(stage, &b, decoder2d_build(&b, &config, z), settings, error);
}

int stage_decode(struct stage *stage, struct weights *weights, int64_t window, int64_t c, int64_t h,
                 int64_t w, const struct stage_settings *settings, struct error *error)
{
    struct layer_slices all = {0};
    return stage_decode_slices(stage, weights, window, all, c, h, w, settings, error);
}

int stage_check_denoise(const struct unet_config *config, int dims, int64_t slices, int64_t c,
                        int64_t h, int64_t w, struct error *error)
{
    int64_t wanted = dims == 2 ? 2 * c : c, multiple = (int64_t)1 << (config->levels - 1);
    if (config->dims != dims)
        return error_set(error,
                         "the weights are those of a %d-D U-Net, this stage needs a %d-D one",
                         config->dims, dims);
    if (config->in_channels != wanted || config->out_channels != c)
        return error_set(error,
                         "the U-Net takes %lld channels and makes %lld; a latent of %lld channels "
                         "needs %lld and %lld",
                         (long long)config->in_channels, (long long)config->out_channels,
                         (long long)c, (long long)wanted, (long long)c);
    if (dims == 3 && check_multiple("D'", slices, multiple, error))
        return -1;
    if (check_multiple("H'", h, multiple, error) || check_multiple("W'", w, multiple, error))
        return -1;
    return 0;
}

int stage_denoise(struct stage *stage, struct weights *weights, int dims, int64_t slices, int64_t c,
                  int64_t h, int64_t w, const struct stage_settings *settings, struct error *error)
{
    struct unet_config config;
    struct builder b;
    if (unet_read(&config, weights, error) ||
        stage_check_denoise(&config, dims, slices, c, h, w, error) ||
        start(&b, weights, settings->activations, error))
        return -1;
    int64_t n = dims == 2 ? slices : 1, d = dims == 2 ? 1 : slices;
    int inputs[2];
    inputs[0] = layer_input(&b, n, d, c, h, w);
    if (dims == 2)
        inputs[1] = layer_input(&b, n, d, c, h, w);
    int t = layer_timesteps(&b, 1);
    int x = layer_channels_last(&b, inputs, dims == 2 ? 2 : 1, false);
    return finish(stage, &b, unet_build(&b, &config, x, t), settings, error);
}

int stage_lpips(struct stage *stage, struct weights *weights, int64_t h, int64_t w,
                const struct stage_settings *settings, struct error *error)
{
    enum { LEAST = 1 << (LPIPS_STAGES - 1) };
    struct lpips_config config;
    struct builder b;
    if (h < LEAST || w < LEAST)
        return error_set(error, "slices of %lldx%lld are smaller than the %dx%d that LPIPS takes",
                         (long long)h, (long long)w, LEAST, LEAST);
    if (lpips_read(&config, weights, error) || start(&b, weights, settings->activations, error))
        return -1;
    int x = layer_input(&b, 1, 1, 1, h, w), y = layer_input(&b, 1, 1, 1, h, w);
    int distance = lpips_build(&b, &config, layer_channels_last(&b, &x, 1, false),
                               layer_channels_last(&b, &y, 1, false));
    layer_scalar_output(&b, distance);
    return finish_output(stage, &b, distance, settings, error);
}

void stage_close(struct stage *stage)
{
    network_destroy(stage->network);
    *stage = (struct stage){0};
}
