#include "lib/training/denoising_options.h"

#include "lib/models/stage_filter.h"
#include "lib/training/denoising.h"
#include "lib/training/provenance.h"

#include <stdlib.h>

enum { LATENT_CHANNELS = 4 };

struct denoising_options denoising_options;
const char *const denoising_parameterizations[] = {"weights", "eps", "v", "flow", NULL};
const char *const denoising_losses[] = {"l1", "l2", NULL};

void denoising_filter(struct filter *filter, int dims, struct train_options *train)
{
    const struct denoising_options *o = &denoising_options;
    struct error *error = &filter->error;
    struct denoising_settings settings = {
        .parameterization =
            o->parameterization ? denoising_parameterizations[o->parameterization] : NULL,
        .schedule = o->schedule,
        .timesteps = o->timesteps,
        .latent_scale = o->latent_scale,
        .squared = o->loss != 0,
    };
    struct stage_settings stage = stage_filter_training_settings(filter);
    struct dataset data;
    struct trainer trainer;
    struct denoising *denoising;
    char *run;
    train->memory = filter_settings.memory;
    filter_check(filter, dataset_open(&data, (const char *const *)filter->file, filter->files,
                                      LATENT_CHANNELS, error));
    struct weights *weights = stage_filter_weights(filter);
    struct parameters *parameters = parameters_create();
    if (!parameters)
        filter_fail(filter, "out of memory");
    weights_train(weights, parameters);
    filter_check(filter, provenance_declare(weights, &data, filter->command_line, &run, error));
    filter_check(filter, denoising_open(&denoising, weights, parameters, &data, dims, &settings,
                                        train, &stage, error));
    denoising_trainer(denoising, &trainer);
    train_run(filter, train, weights, &trainer, run);
    stage_filter_peak(filter);
    denoising_close(denoising);
    parameters_destroy(parameters);
    weights_close(weights);
    dataset_close(&data);
    free(run);
}
