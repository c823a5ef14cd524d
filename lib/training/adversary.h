/* What judges reconstructions beside the mean absolute error: the discriminator, trained along, and
 * LPIPS (MODEL.md "Training", 1). Both are optional and come from files of their own. */
#ifndef OCTPIPE_TRAINING_ADVERSARY_H
#define OCTPIPE_TRAINING_ADVERSARY_H

#include "lib/models/discriminator.h"
#include "lib/models/lpips.h"
#include "lib/training/train_network.h"

struct adversary {
    struct weights *discriminator, *lpips; /* NULL: none */
    struct discriminator_config discriminator_config;
    struct lpips_config lpips_config;
    struct parameters *parameters; /* of the discriminator; NULL: none */
    struct network *network;       /* its training: real and fake pictures → loss */
    float *last[2];                /* for layer_adaptive_weight; as memory.h makes them */
    int64_t last_count;
};

/* Open the files (NULL: without) for training on a backend. */
int adversary_open(struct adversary *adversary, const char *discriminator, const char *lpips,
                   const struct backend *backend, struct error *error);
void adversary_close(struct adversary *adversary); /* {0} is fine */

/* Plan the discriminator's training on `slices` real and as many fake pictures (slices, h, w);
 * Before adversary_judge, so that its weights are
 * parameters. */
int adversary_plan(struct adversary *adversary, int64_t slices, int64_t h, int64_t w,
                   const struct stage_settings *settings, struct train_memory memory,
                   struct error *error);

/* Add the gradients of the discriminator's loss. */
int adversary_run(struct adversary *adversary, const float *real, const float *fake, double *loss,
                  struct error *error);

/* The losses of a reconstruction: values, 0 where there is none. */
struct adversary_losses {
    int l1, lpips, generator, weight;
};

/* The part of a graph between a reconstruction y (1, k, h, w, 1) of x and the gradients that reach
 * it: add the losses and make them outputs, in the order above; differentiate mean|x − y| +
 * 0.1·LPIPS + λ·0.6·g, g = −mean D(y) only where `judged`, down to y. `last` names the layer
 * whose kernel λ is of. The seed for what lies before y. The graph's other outputs and losses must
 * be there already. Only one graph is judged. */
int adversary_judge(struct adversary *adversary, struct builder *builder, int x, int y,
                    const char *last, bool judged, struct adversary_losses *losses,
                    struct gradient_seed *seed);

#endif
