#include "lib/training/reconstruction_options.h"

#include "lib/models/stage_filter.h"
#include "lib/training/train_filter.h"

struct reconstruction_options reconstruction_options;

static void read_crop(struct filter *filter)
{
    const struct option_shape *crop = &reconstruction_options.crop;
    struct reconstruction_settings *settings = &reconstruction_options.settings;
    bool volumes = settings->kind == RECONSTRUCT_NHAE;
    int rank = volumes ? 3 : 2;
    if (crop->rank && crop->rank != rank)
        filter_fail(filter, "--crop: %s is expected", volumes ? "D,H,W" : "H,W");
    for (int i = 0; i < rank; i++)
        settings->crop[3 - rank + i] = crop->extent[i];
}

void reconstruction_filter(struct filter *filter, enum reconstruction_kind kind,
                           struct train_options *options)
{
    struct reconstruction_settings *settings = &reconstruction_options.settings;
    settings->kind = kind;
    read_crop(filter);
    struct stage_settings stage = stage_filter_settings(filter);
    struct train_filter train;
    struct reconstruction *reconstruction;
    struct trainer trainer;
    if (!settings->lpips)
        filter_note(filter, "no --lpips: the perceptual term is off");
    if (!settings->discriminator)
        filter_note(filter, "no --discriminator: the adversarial term is off");
    train_filter_open(&train, filter, 0, options);
    filter_check(filter,
                 reconstruction_open(&reconstruction, train.weights, train.parameters, &train.data,
                                     settings, options, &stage, &filter->error));
    reconstruction_trainer(reconstruction, &trainer);
    train_run(filter, options, train.weights, &trainer, train.run);
    reconstruction_close(reconstruction);
    train_filter_close(&train, filter);
}
