/* The trainer of the diffusion networks from inside: for denoising*.c alone. */
#ifndef OCTPIPE_TRAINING_DENOISING_PARTS_H
#define OCTPIPE_TRAINING_DENOISING_PARTS_H

#include "lib/models/denoiser.h"
#include "lib/training/denoising.h"
#include "lib/training/order.h"

struct denoising {
    struct weights *weights;
    struct parameters *parameters;
    const struct dataset *data;
    const struct train_options *options;
    struct stage_settings stage;
    int dims;
    bool squared;

    int64_t pairs;        /* dims 2: arrays of z_sr, after which those of z_hr come; else 0 */
    int64_t first, items; /* arrays to learn from begin there; samples in them */
    int64_t held_first, held_items;
    int64_t slices, c, h, w; /* of a sample */
    int64_t count;           /* its numbers */

    struct denoiser_process process;
    struct order order;
    struct network *network;
    float *noisy, *condition, *target; /* (batch, slices, c, h, w) */
    float *timesteps;                  /* (batch) */
    int64_t sample_bytes;              /* that drawing samples takes */
};

/* Shapes of the samples, and which arrays are held out. */
int denoising_arrange(struct denoising *denoising, struct error *error);

/* Declare the metadata of the process. */
int denoising_declare(struct denoising *denoising, const struct denoising_settings *settings,
                      struct error *error);

int64_t denoising_buffers(const struct denoising *denoising); /* bytes of a batch */

/* Set sample_bytes; draw: for a few held-out slices the condition (dims 2), a sample, and the
 * latent: rows; channels: columns. */
int denoising_plan_samples(struct denoising *denoising, struct error *error);
int denoising_draw(void *denoising, struct picture *picture, struct error *error);

#endif
