#include "lib/training/denoising_parts.h"

#include "lib/training/train_picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 2 /* slices of a picture with dims 2 */ };

/* A sampler of as many slices as the picture shows. */
static int open_sampler(const struct denoising *d, struct denoiser **denoiser, int64_t *slices,
                        struct error *error)
{
    int64_t last = d->process.schedule.timesteps - 1;
    struct denoiser_settings settings = {
        .sampler = SAMPLER_DPM,
        .steps = last < DENOISER_DPM_STEPS ? last : DENOISER_DPM_STEPS,
        .clip = NAN,
        .seed = (uint64_t)d->options->seed,
        .initial = RANDOM_TRAINING,
        .step = RANDOM_TRAINING,
    };
    *slices = d->dims == 3 ? d->slices : d->held_items < SHOWN ? d->held_items : SHOWN;
    return denoiser_open(denoiser, d->weights, d->dims, *slices, d->c, d->h, d->w, &settings,
                         &d->stage, error);
}

int denoising_plan_samples(struct denoising *d, struct error *error)
{
    struct denoiser *denoiser;
    int64_t slices;
    if (!d->options->held_out)
        return 0;
    if (open_sampler(d, &denoiser, &slices, error))
        return -1;
    d->sample_bytes = denoiser_bytes(denoiser) + 3 * slices * d->c * d->h * d->w * 4;
    denoiser_close(denoiser);
    return 0;
}

/* Held-out slices, their conditions, and samples: (slices, c, h, w) each. */
struct held {
    int64_t slices;
    float *z, *condition, *sample;
};

static void read_held(const struct denoising *d, const struct held *held)
{
    int64_t count = d->c * d->h * d->w;
    if (d->dims == 3) {
        dataset_read(&d->data->list[d->held_first], 0, d->slices, held->z);
        return;
    }
    for (int64_t i = 0; i < held->slices; i++) {
        int64_t array, slice, item = (2 * i + 1) * d->held_items / (2 * held->slices);
        dataset_locate(d->data, d->held_first, item, &array, &slice);
        dataset_read(&d->data->list[array], slice, 1, held->z + i * count);
        dataset_read(&d->data->list[array - d->pairs], slice, 1, held->condition + i * count);
    }
}

/* Rows: for each slice shown the condition, the sample and the latent; columns: channels, each with
 * the grays of its latents. */
static int compose(const struct denoising *d, const struct held *held, struct picture *picture,
                   struct error *error)
{
    int64_t map = d->h * d->w, count = d->c * map;
    int64_t shown = d->dims == 2 ? held->slices : 1, kinds = d->dims == 2 ? 3 : 2;
    float *maps = malloc((size_t)(shown * kinds * count) * sizeof *maps);
    double *range = malloc((size_t)(2 * d->c) * sizeof *range);
    int status = maps && range ? 0 : error_set(error, "out of memory");
    for (int64_t i = 0; !status && i < shown; i++) {
        int64_t slice = d->dims == 2 ? i : d->slices / 2;
        const float *rows[3] = {held->sample, held->z};
        if (d->dims == 2)
            memcpy(rows, (const float *[]){held->condition, held->sample, held->z}, sizeof rows);
        for (int64_t k = 0; k < kinds; k++)
            memcpy(maps + (i * kinds + k) * count, rows[k] + slice * count,
                   (size_t)count * sizeof *maps);
    }
    for (int64_t k = 0; !status && k < d->c; k++)
        train_picture_range(maps + (kinds - 1) * count + k * map, map, &range[k], &range[d->c + k]);
    if (!status) {
        struct train_picture grid = {shown * kinds, d->c, d->h, d->w, maps, range, range + d->c};
        status = train_picture_draw(&grid, picture, error);
    }
    free(maps);
    free(range);
    return status;
}

int denoising_draw(void *context, struct picture *picture, struct error *error)
{
    const struct denoising *d = context;
    struct denoiser *denoiser;
    struct held held = {0};
    if (open_sampler(d, &denoiser, &held.slices, error))
        return -1;
    size_t bytes = (size_t)(held.slices * d->c * d->h * d->w) * sizeof(float);
    held.z = malloc(bytes);
    held.condition = malloc(bytes);
    held.sample = malloc(bytes);
    int status = 0;
    if (!held.z || !held.condition || !held.sample) {
        status = error_set(error, "out of memory");
    } else {
        struct denoiser_batch batch = {.array = ORDER_VALIDATION_NOISE,
                                       .slices = held.slices,
                                       .condition = held.condition,
                                       .all_slices = held.slices};
        read_held(d, &held);
        status = denoiser_run(denoiser, &batch, held.sample, error);
    }
    denoiser_close(denoiser);
    if (!status)
        status = compose(d, &held, picture, error);
    free(held.z);
    free(held.condition);
    free(held.sample);
    return status;
}
