#include "lib/training/denoising_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All latents have the shape of the first, apart from D with dims 2, where z_sr and z_hr of a pair
 * agree in it. */
static int check_shapes(const struct denoising *d, struct error *error)
{
    const struct array *first = &d->data->list[0].array;
    for (int64_t i = 0; i < d->data->count; i++) {
        const struct array *a = &d->data->list[i].array;
        const struct array *like =
            d->dims == 2 && i >= d->pairs ? &d->data->list[i - d->pairs].array : first;
        bool same = d->dims == 2 && i < d->pairs
                        ? a->shape[2] == like->shape[2] && a->shape[3] == like->shape[3]
                        : !memcmp(a->shape, like->shape, sizeof a->shape);
        char found[128], wanted[128];
        if (!same)
            return error_set(error, "%s: %s, where %s is expected", d->data->list[i].path,
                             array_describe(a, found, sizeof found),
                             array_describe(like, wanted, sizeof wanted));
    }
    return 0;
}

int denoising_arrange(struct denoising *d, struct error *error)
{
    const struct dataset *data = d->data;
    int64_t count = data->count, held = d->options->held_out;
    if (d->dims == 2 && count % 2)
        return error_set(error, "%lld arrays: as many of z_sr as of z_hr are expected",
                         (long long)count);
    d->pairs = d->dims == 2 ? count / 2 : 0;
    d->first = d->pairs;
    int64_t latents = count - d->pairs;
    if (held >= latents)
        return error_set(error,
                         "--held-out %lld of %lld latents leaves none to learn from; give more "
                         "latents, or --held-out 0",
                         (long long)held, (long long)latents);
    if (check_shapes(d, error))
        return -1;
    const struct array *a = &data->list[0].array;
    d->slices = d->dims == 2 ? 1 : a->shape[0];
    d->c = a->shape[1];
    d->h = a->shape[2];
    d->w = a->shape[3];
    d->count = d->slices * d->c * d->h * d->w;
    d->held_first = count - held;
    d->items = d->dims == 2 ? dataset_slices(data, d->first, latents - held) : latents - held;
    d->held_items = d->dims == 2 ? dataset_slices(data, d->held_first, held) : held;
    return 0;
}

int64_t denoising_buffers(const struct denoising *d)
{
    return 3 * d->options->batch * d->count * (int64_t)sizeof(float);
}

static int declare(struct denoising *d, const char *key, const char *value, struct error *error)
{
    return weights_declare_metadata(d->weights, key, value) ? error_set(error, "too much metadata")
                                                            : 0;
}

static int declare_number(struct denoising *d, const char *key, double value, struct error *error)
{
    char text[32];
    snprintf(text, sizeof text, "%.9g", value);
    return declare(d, key, text, error);
}

/* latent_scale and clip, from the settings, the weights or the data. */
static int declare_scale(struct denoising *d, const struct denoising_settings *settings,
                         struct error *error)
{
    double deviation, largest, scale, clip = 0.0;
    int64_t latents = d->held_first - d->first;
    if (dataset_measure(d->data, d->first, latents, &deviation, &largest, error))
        return -1;
    if (deviation == 0.0)
        return error_set(error, "all values of the latents are equal");
    if (weights_metadata_real(d->weights, "latent_scale", 1.0 / deviation, &scale, error))
        return -1;
    if (settings->latent_scale > 0.0)
        scale = settings->latent_scale;
    const char *known = weights_metadata_text(d->weights, "clip");
    if (declare_number(d, "latent_scale", scale, error))
        return -1;
    if (known && !strcmp(known, "none"))
        return 0;
    if (weights_metadata_real(d->weights, "clip", 0.0, &clip, error))
        return -1;
    return declare_number(d, "clip", fmax(clip, largest * scale), error);
}

int denoising_declare(struct denoising *d, const struct denoising_settings *settings,
                      struct error *error)
{
    char shape[96];
    if ((settings->parameterization &&
         declare(d, "parameterization", settings->parameterization, error)) ||
        (settings->schedule && declare(d, "schedule", settings->schedule, error)) ||
        (settings->timesteps && declare_number(d, "timesteps", (double)settings->timesteps, error)))
        return -1;
    snprintf(shape, sizeof shape, "%lld,%lld,%lld,%lld", (long long)d->slices, (long long)d->c,
             (long long)d->h, (long long)d->w);
    if (d->dims == 3 && declare(d, "latent_shape", shape, error))
        return -1;
    return declare_scale(d, settings, error);
}
