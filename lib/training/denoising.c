#include "lib/training/denoising.h"

#include "lib/engine/upsampling.h"
#include "lib/models/denoiser.h"
#include "lib/models/loss_layers.h"
#include "lib/training/denoising_parts.h"
#include "lib/training/order.h"
#include "lib/training/train_network.h"

#include <stdlib.h>
#include <string.h>

/* Samples of a validation, at least: each with its own timestep, evenly spread. */
enum { VALIDATIONS = 16 };

/* A sample of a batch: its item among `pairs` latents from `first` on, its timestep, its noise. */
struct sample {
    int64_t first, item, timestep;
    enum order_purpose purpose;
    int64_t step, number;
};

static void read_slices(const struct denoising *d, const struct sample *s, float *x0,
                        float *condition)
{
    int64_t array = s->first + s->item, slice = 0;
    if (d->dims == 2)
        dataset_locate(d->data, s->first, s->item, &array, &slice);
    dataset_read(&d->data->list[array], slice, d->slices, x0);
    if (condition)
        dataset_read(&d->data->list[array - d->pairs], slice, 1, condition);
}

/* x₀ in `target` and ε in `noisy` become the network's input and what it shall tell. */
static void noise_to(const struct denoising *d, int64_t t, float *noisy, float *target)
{
    enum parameterization kind = d->process.parameterization;
    float scale = (float)d->process.latent_scale, alpha = (float)d->process.schedule.alpha[t],
          sigma = (float)d->process.schedule.sigma[t];
#pragma omp parallel for
    for (int64_t i = 0; i < d->count; i++) {
        float x0 = scale * target[i], epsilon = noisy[i];
        noisy[i] = alpha * x0 + sigma * epsilon;
        target[i] = kind == PARAMETERIZATION_EPS ? epsilon
                    : kind == PARAMETERIZATION_V ? alpha * epsilon - sigma * x0
                                                 : epsilon - x0;
    }
}

static void fill(struct denoising *d, int64_t place, const struct sample *s)
{
    float *noisy = d->noisy + place * d->count, *target = d->target + place * d->count;
    float *condition = d->dims == 2 ? d->condition + place * d->count : NULL;
    read_slices(d, s, target, condition);
    for (int64_t i = 0; condition && i < d->count; i++)
        condition[i] *= (float)d->process.latent_scale;
    denoiser_noise((uint64_t)d->options->seed, RANDOM_TRAINING, (int64_t)s->purpose, s->step,
                   s->number * d->slices, d->slices, d->count / d->slices, noisy);
    noise_to(d, s->timestep, noisy, target);
    d->timesteps[place] = (float)s->timestep;
}

static int run(struct denoising *d, double *loss, struct error *error)
{
    float value;
    const void *pair[] = {d->noisy, d->condition, d->timesteps, d->target};
    const void *single[] = {d->noisy, d->timesteps, d->target};
    if (network_run(d->network, d->dims == 2 ? pair : single, (void *const[]){&value}, error))
        return -1;
    *loss = (double)value;
    return 0;
}

static int compute(void *context, int64_t step, int64_t part, double *losses, struct error *error)
{
    struct denoising *d = context;
    int64_t batch = d->options->batch, parts = d->options->accumulate;
    for (int64_t i = 0; i < batch; i++) {
        int64_t number = part * batch + i, n = step * parts * batch + number;
        struct sample s = {.first = d->first,
                           .item = order_item(&d->order, n),
                           .timestep = order_below(d->order.seed, ORDER_TIMESTEP, step, number, 0,
                                                   d->process.schedule.timesteps),
                           .purpose = ORDER_NOISE,
                           .step = step,
                           .number = number};
        fill(d, i, &s);
    }
    return run(d, losses, error);
}

static int validate(void *context, double *loss, struct error *error)
{
    struct denoising *d = context;
    int64_t batch = d->options->batch, rounds = (VALIDATIONS + batch - 1) / batch;
    int64_t count = rounds * batch;
    *loss = 0.0;
    for (int64_t k = 0; k < rounds; k++) {
        double one;
        for (int64_t i = 0; i < batch; i++) {
            int64_t number = k * batch + i;
            struct sample s = {.first = d->held_first,
                               .item = number * d->held_items / count,
                               .timestep =
                                   (2 * number + 1) * d->process.schedule.timesteps / (2 * count),
                               .purpose = ORDER_VALIDATION_NOISE,
                               .step = 1,
                               .number = number};
            fill(d, i, &s);
        }
        if (run(d, &one, error))
            return -1;
        *loss += one / (double)rounds;
    }
    return 0;
}

static int build(struct denoising *d, struct error *error)
{
    struct unet_config config;
    struct builder b;
    const struct train_options *o = d->options;
    if (unet_read(&config, d->weights, error) ||
        stage_check_denoise(&config, d->dims, d->slices, d->c, d->h, d->w, error) ||
        train_network_begin(&b, d->weights, d->stage.activations, error))
        return -1;
    int inputs[2];
    inputs[0] = layer_input(&b, o->batch, d->slices, d->c, d->h, d->w);
    if (d->dims == 2)
        inputs[1] = layer_input(&b, o->batch, d->slices, d->c, d->h, d->w);
    int t = layer_timesteps(&b, o->batch);
    int target = layer_input(&b, o->batch, d->slices, d->c, d->h, d->w);
    int x = layer_channels_last(&b, inputs, d->dims == 2 ? 2 : 1, false);
    int y = unet_build(&b, &config, x, t);
    graph_fuse_upsampling(b.graph);
    int loss = layer_loss(&b, d->squared ? LOSS_L2 : LOSS_L1, y,
                          layer_channels_last(&b, &target, 1, true), 1.0f);
    layer_scalar_output(&b, loss);
    struct gradient_seed seed = {loss, -1};
    struct train_memory memory = {o->memory, denoising_buffers(d) + d->sample_bytes +
                                                 state_bytes(d->parameters, o->ema > 0.0)};
    return train_network_finish(&d->network, &b, &seed, 1, d->stage.backend, memory);
}

static int allocate(struct denoising *d, struct error *error)
{
    size_t floats = (size_t)(d->options->batch * d->count);
    d->noisy = malloc(floats * sizeof *d->noisy);
    d->target = malloc(floats * sizeof *d->target);
    d->condition = malloc(floats * sizeof *d->condition);
    d->timesteps = malloc((size_t)d->options->batch * sizeof *d->timesteps);
    bool there = d->noisy && d->target && d->condition && d->timesteps;
    return there ? 0 : error_set(error, "out of memory");
}

int denoising_open(struct denoising **denoising, struct weights *weights,
                   struct parameters *parameters, const struct dataset *data, int dims,
                   const struct denoising_settings *settings, const struct train_options *options,
                   const struct stage_settings *stage, struct error *error)
{
    struct denoising *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(error, "out of memory");
    *d = (struct denoising){.weights = weights,
                            .parameters = parameters,
                            .data = data,
                            .options = options,
                            .stage = *stage,
                            .dims = dims,
                            .squared = settings->squared};
    if (denoising_arrange(d, error) || denoising_declare(d, settings, error) ||
        denoiser_read_process(&d->process, weights, error) ||
        order_create(&d->order, (uint64_t)options->seed, d->items, error) || allocate(d, error) ||
        denoising_plan_samples(d, error) || build(d, error)) {
        denoising_close(d);
        return -1;
    }
    *denoising = d;
    return 0;
}

void denoising_close(struct denoising *d)
{
    if (!d)
        return;
    network_destroy(d->network);
    order_destroy(&d->order);
    schedule_destroy(&d->process.schedule);
    free(d->noisy);
    free(d->target);
    free(d->condition);
    free(d->timesteps);
    free(d);
}

void denoising_trainer(struct denoising *d, struct trainer *trainer)
{
    static const char *const losses[] = {"loss", NULL}, *const measures[] = {"validation", NULL};
    bool held = d->options->held_out > 0;
    *trainer = (struct trainer){
        .context = d,
        .losses = losses,
        .measures = measures,
        .compute = compute,
        .validate = held ? validate : NULL,
        .draw = denoising_draw,
        .bytes = network_memory(d->network).total + denoising_buffers(d) + d->sample_bytes,
        .parameters = {d->parameters},
    };
}
