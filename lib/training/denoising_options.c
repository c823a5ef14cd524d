#include "lib/training/denoising_options.h"

#include "lib/models/stage_filter.h"
#include "lib/training/denoising.h"
#include "lib/training/train_filter.h"

enum { LATENT_CHANNELS = 4 };

struct denoising_options denoising_options;
const char *const denoising_parameterizations[] = {"weights", "eps", "v", "flow", NULL};
const char *const denoising_losses[] = {"l1", "l2", NULL};

void denoising_filter(struct filter *filter, int dims, struct train_options *options)
{
    const struct denoising_options *o = &denoising_options;
    struct denoising_settings settings = {
        .parameterization =
            o->parameterization ? denoising_parameterizations[o->parameterization] : NULL,
        .schedule = o->schedule,
        .timesteps = o->timesteps,
        .latent_scale = o->latent_scale,
        .squared = o->loss != 0,
    };
    struct stage_settings stage = stage_filter_settings(filter);
    struct train_filter train;
    struct denoising *denoising;
    struct trainer trainer;
    train_filter_open(&train, filter, LATENT_CHANNELS, options);
    filter_check(filter, denoising_open(&denoising, train.weights, train.parameters, &train.data,
                                        dims, &settings, options, &stage, &filter->error));
    denoising_trainer(denoising, &trainer);
    train_run(filter, options, train.weights, &trainer, train.run);
    denoising_close(denoising);
    train_filter_close(&train, filter);
}
