/* The trainer of both diffusion networks (paper, section 2.2; MODEL.md "Diffusion", "Training" 3
 * and 4): a latent is noised to a random timestep, and the network learns to tell what the
 * metadata's `parameterization` asks for: ε, v = α·ε − σ·x₀, or the flow ε − x₀. */
#ifndef OCTPIPE_TRAINING_DENOISING_H
#define OCTPIPE_TRAINING_DENOISING_H

#include "lib/models/stages.h"
#include "lib/training/dataset.h"
#include "lib/training/train_loop.h"

/* What the options set over the weights' metadata; NULL or 0: as there, else measured or default.
 */
struct denoising_settings {
    const char *parameterization, *schedule;
    int64_t timesteps;
    double latent_scale;
    bool squared; /* L2 loss instead of L1 */
};

struct denoising;

/* dims 3: the data are latents z, all of one shape. dims 2: pairs of latents, the first half of the
 * arrays z_sr and the second half z_hr; every slice is a sample. The last options->held_out latents
 * or pairs are held out. Declares the metadata of the diffusion process: latent_scale is 1 over the
 * deviation of the latents that are learned, clip the largest of their scaled values, where the
 * weights do not say otherwise. The weights must be set to train; weights, data and options outlive
 * the trainer. */
int denoising_open(struct denoising **denoising, struct weights *weights,
                   struct parameters *parameters, const struct dataset *data, int dims,
                   const struct denoising_settings *settings, const struct train_options *options,
                   const struct stage_settings *stage, struct error *error);
void denoising_close(struct denoising *denoising); /* NULL is fine */

/* Fill in the trainer; it borrows `denoising`. */
void denoising_trainer(struct denoising *denoising, struct trainer *trainer);

#endif
