#include "lib/models/denoiser.h"

#include "lib/engine/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Keys the noise that slices have in common; no slice has this number. */
enum { COMMON_SLICE = -1 };

struct denoiser {
    int dims;
    struct denoiser_settings settings;
    struct sampler_settings sampler_settings;
    struct schedule schedule;
    struct sampler *sampler;
    struct stage stage;
    int64_t slices, slice; /* at most at a time; floats of one */
    const struct backend *backend;
    /* (slices, c, h, w) as the network takes and gives them, for the device to copy by itself. */
    float *x, *condition, *prediction;
    float *common; /* (c, h, w); NULL: slices have no noise in common */
    const struct denoiser_batch *batch;
};

int denoiser_read_process(struct denoiser_process *p, const struct weights *w, struct error *error)
{
    int64_t timesteps;
    const char *text = weights_metadata_text(w, "clip");
    p->clip = INFINITY;
    if (!(text && !strcmp(text, "none")) && weights_metadata_real(w, "clip", 1, &p->clip, error))
        return -1;
    return weights_metadata_int(w, "timesteps", 1000, &timesteps, error) ||
                   weights_metadata_real(w, "latent_scale", 1, &p->latent_scale, error) ||
                   parameterization_from_name(weights_metadata_text(w, "parameterization"),
                                              &p->parameterization, error) ||
                   schedule_create(&p->schedule, weights_metadata_text(w, "schedule"), timesteps,
                                   p->parameterization, error)
               ? -1
               : 0;
}

/* The sampler's settings from the caller's and the metadata. */
static int read_metadata(struct denoiser *d, const struct weights *w, struct error *error)
{
    struct sampler_settings *s = &d->sampler_settings;
    struct denoiser_process process;
    if (denoiser_read_process(&process, w, error))
        return -1;
    d->schedule = process.schedule;
    s->parameterization = process.parameterization;
    s->latent_scale = process.latent_scale;
    s->kind = d->settings.sampler;
    s->steps = d->settings.steps;
    if (!s->steps && s->kind != SAMPLER_DDPM)
        s->steps = s->kind == SAMPLER_DDIM ? DENOISER_DDIM_STEPS : DENOISER_DPM_STEPS;
    s->eta = d->settings.eta;
    s->clip = isnan(d->settings.clip) ? process.clip : d->settings.clip;
    s->start = d->settings.start;
    return 0;
}

static int open_parts(struct denoiser *d, struct weights *weights, int64_t c, int64_t h, int64_t w,
                      const struct stage_settings *stage, struct error *error)
{
    if (stage_denoise(&d->stage, weights, d->dims, d->slices, c, h, w, stage, error) ||
        read_metadata(d, weights, error))
        return -1;
    int64_t count = d->slices * d->slice;
    if (sampler_create(&d->sampler, &d->sampler_settings, &d->schedule, count, error))
        return -1;
    int64_t bytes = count * (int64_t)sizeof(float);
    d->x = memory_host_create(d->backend, bytes);
    d->prediction = memory_host_create(d->backend, bytes);
    d->condition = d->dims == 2 ? memory_host_create(d->backend, bytes) : NULL;
    d->common = d->settings.common > 0 ? calloc((size_t)d->slice, sizeof *d->common) : NULL;
    if (!d->x || !d->prediction || (d->dims == 2 && !d->condition) ||
        (d->settings.common > 0 && !d->common))
        return error_set(error, "out of memory");
    return 0;
}

int denoiser_open(struct denoiser **denoiser, struct weights *weights, int dims, int64_t slices,
                  int64_t c, int64_t h, int64_t w, const struct denoiser_settings *settings,
                  const struct stage_settings *stage, struct error *error)
{
    struct denoiser *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(error, "out of memory");
    d->dims = dims;
    d->settings = *settings;
    d->backend = stage->backend;
    d->slices = slices;
    d->slice = c * h * w;
    if (open_parts(d, weights, c, h, w, stage, error)) {
        denoiser_close(d);
        return -1;
    }
    *denoiser = d;
    return 0;
}

void denoiser_close(struct denoiser *d)
{
    if (!d)
        return;
    stage_close(&d->stage);
    sampler_destroy(d->sampler);
    schedule_destroy(&d->schedule);
    memory_host_destroy(d->backend, d->x);
    memory_host_destroy(d->backend, d->prediction);
    memory_host_destroy(d->backend, d->condition);
    free(d->common);
    free(d);
}

int64_t denoiser_bytes(const struct denoiser *d)
{
    int64_t count = d->slices * d->slice;
    return network_memory(d->stage.network).total + sampler_bytes(&d->sampler_settings, count) +
           ((d->dims == 2 ? 3 : 2) * count + (d->common ? d->slice : 0)) * (int64_t)sizeof(float);
}

const struct stage *denoiser_stage(const struct denoiser *d)
{
    return &d->stage;
}

int64_t denoiser_steps(const struct denoiser *d)
{
    return sampler_steps(d->sampler);
}

int64_t denoiser_timesteps(const struct denoiser *d)
{
    return d->schedule.timesteps;
}

void denoiser_noise(uint64_t seed, enum random_stage stage, int64_t array, int64_t step,
                    int64_t first, int64_t slices, int64_t count, float *out)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < slices; i++) {
        struct random_key key = {seed, stage, array, first + i, step};
        random_normal(&key, out + i * count, count);
    }
}

int64_t denoiser_index(const struct array *array, int64_t position)
{
    return array->marked && array->of > 0 ? array->index : position;
}

/* The network takes whole batches: a smaller one leaves old slices in the rest. */
static int predict(void *context, const float *x, int64_t count, double t, float *out,
                   struct error *error)
{
    struct denoiser *d = context;
    float timestep = (float)t;
    memcpy(d->x, x, (size_t)count * sizeof *x);
    const void *inputs[3] = {d->x, &timestep, NULL};
    if (d->dims == 2) {
        inputs[1] = d->condition;
        inputs[2] = &timestep;
    }
    if (network_run(d->stage.network, inputs, (void *const[]){d->prediction}, error))
        return -1;
    memcpy(out, d->prediction, (size_t)count * sizeof *out);
    return 0;
}

/* Noise of the batch's slices from the seed. Shares of variance add up to one, so that what the
 * network sees is still standard normal. */
static void seed_noise(const struct denoiser *d, enum random_stage stage, int64_t step, float *out)
{
    const struct denoiser_batch *b = d->batch;
    denoiser_noise(d->settings.seed, stage, b->array, step, b->first, b->slices, d->slice, out);
    if (!d->common)
        return;
    float shared = (float)sqrt(d->settings.common), own = (float)sqrt(1 - d->settings.common);
    struct random_key key = {d->settings.seed, stage, b->array, COMMON_SLICE, step};
    random_normal(&key, d->common, d->slice);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < b->slices; i++)
        for (int64_t j = 0; j < d->slice; j++)
            out[i * d->slice + j] = shared * d->common[j] + own * out[i * d->slice + j];
}

static int step_noise(void *context, int64_t t, float *out, int64_t count, struct error *error)
{
    const struct denoiser *d = context;
    const struct denoiser_batch *b = d->batch;
    (void)error;
    if (b->step_noise)
        memcpy(out, b->step_noise + (t * b->all_slices + b->first) * d->slice,
               (size_t)count * sizeof *out);
    else
        seed_noise(d, d->settings.step, t, out);
    return 0;
}

static void advance(void *context)
{
    const struct denoiser *d = context;
    if (d->batch->advance)
        d->batch->advance(d->batch->context);
}

int denoiser_run(struct denoiser *d, const struct denoiser_batch *batch, float *z,
                 struct error *error)
{
    int64_t count = batch->slices * d->slice;
    d->batch = batch;
    if (batch->noise)
        memcpy(z, batch->noise, (size_t)count * sizeof *z);
    else
        seed_noise(d, d->settings.initial, 0, z);
    if (d->settings.start)
        sampler_noise_to(d->sampler, batch->begin, z, count);
    for (int64_t i = 0; d->dims == 2 && i < count; i++)
        d->condition[i] = batch->condition[i] * (float)d->sampler_settings.latent_scale;
    struct sampler_callbacks callbacks = {d, predict, step_noise, advance};
    return sampler_run(d->sampler, z, count, &callbacks, error);
}
