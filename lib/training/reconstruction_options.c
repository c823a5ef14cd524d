#include "lib/training/reconstruction_options.h"

#include "lib/models/stage_filter.h"
#include "lib/training/provenance.h"

#include <stdlib.h>

struct reconstruction_options reconstruction_options;

void reconstruction_filter(struct filter *filter, struct reconstruction_settings settings,
                           struct train_options *train)
{
    const struct reconstruction_options *o = &reconstruction_options;
    struct error *error = &filter->error;
    struct stage_settings stage = stage_filter_training_settings(filter);
    struct dataset data;
    struct trainer trainer;
    struct reconstruction *reconstruction;
    char *run;
    settings.discriminator = o->discriminator;
    settings.lpips = o->lpips;
    settings.adversarial_start = o->start;
    if (!o->lpips)
        filter_note(filter, "no --lpips: the perceptual term is off");
    if (!o->discriminator)
        filter_note(filter, "no --discriminator: the adversarial term is off");
    train->memory = filter_settings.memory;
    filter_check(filter,
                 dataset_open(&data, (const char *const *)filter->file, filter->files, 0, error));
    struct weights *weights = stage_filter_weights(filter);
    struct parameters *parameters = parameters_create();
    if (!parameters)
        filter_fail(filter, "out of memory");
    weights_train(weights, parameters);
    filter_check(filter, provenance_declare(weights, &data, filter->command_line, &run, error));
    filter_check(filter, reconstruction_open(&reconstruction, weights, parameters, &data, &settings,
                                             train, &stage, error));
    reconstruction_trainer(reconstruction, &trainer);
    train_run(filter, train, weights, &trainer, run);
    stage_filter_peak(filter);
    reconstruction_close(reconstruction);
    parameters_destroy(parameters);
    weights_close(weights);
    dataset_close(&data);
    free(run);
}
