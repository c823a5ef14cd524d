#include "lib/training/train_filter.h"

#include "lib/models/stage_filter.h"
#include "lib/training/provenance.h"

#include <stdlib.h>

void train_filter_open(struct train_filter *t, struct filter *filter, int64_t channels,
                       struct train_options *options)
{
    struct error *error = &filter->error;
    options->memory = filter_settings.memory;
    filter_check(filter, dataset_open(&t->data, (const char *const *)filter->file, filter->files,
                                      channels, error));
    t->weights = stage_filter_weights(filter);
    t->parameters = parameters_create(filter->backend);
    if (!t->parameters)
        filter_fail(filter, "out of memory");
    weights_train(t->weights, t->parameters);
    filter_check(filter,
                 provenance_declare(t->weights, &t->data, filter->command_line, &t->run, error));
}

void train_filter_close(struct train_filter *t, struct filter *filter)
{
    stage_filter_peak(filter);
    parameters_destroy(t->parameters);
    weights_close(t->weights);
    dataset_close(&t->data);
    free(t->run);
}
