/* The trainer of what reconstructs slices (MODEL.md "Training" 1, 2 and 5): the 2-D auto-encoder,
 * NHAE, and the multi-slice decoder's adaptors. They share the loss: mean|x − y| + 0.1·LPIPS +
 * λ·0.6·g, and the quantizers'. */
#ifndef OCTPIPE_TRAINING_RECONSTRUCTION_H
#define OCTPIPE_TRAINING_RECONSTRUCTION_H

#include "lib/models/stages.h"
#include "lib/training/dataset.h"
#include "lib/training/train_loop.h"

enum reconstruction_kind {
    RECONSTRUCT_AUTOENCODER2D, /* slices: encoder, quantizer, decoder; all of it learns */
    RECONSTRUCT_NHAE,          /* a crop of a volume, flipped at random along D and W: 3-D encoder,
                                  latent super-resolution, and random slices of it decoded; the 2-D
                                  networks are frozen but for the decoder's conv_out; also
                                  mean|h_sr − encoder(slice)| */
    RECONSTRUCT_MULTISLICE,    /* neighbouring slices: frozen encoder and 2-D decoder; only the 3-D
                                  adaptors learn */
};

struct reconstruction_settings {
    enum reconstruction_kind kind;
    int64_t crop[3];                   /* D, H, W; 0: all; D counts in NHAE alone */
    const char *encoder;               /* MULTISLICE: file with the 2-D encoder */
    const char *discriminator, *lpips; /* files; NULL: without */
    int64_t adversarial_start;         /* step from which the discriminator judges */
    int64_t code_warm_up;              /* steps in which codes move to latents (codebook.h) */
};

struct reconstruction;

/* The data are volumes. options->batch is the number of slices decoded at a time. Weights that must
 * be frozen are. weights, data and options outlive the trainer. */
int reconstruction_open(struct reconstruction **reconstruction, struct weights *weights,
                        struct parameters *parameters, const struct dataset *data,
                        const struct reconstruction_settings *settings,
                        const struct train_options *options, const struct stage_settings *stage,
                        struct error *error);
void reconstruction_close(struct reconstruction *reconstruction); /* NULL is fine */

/* Fill in the trainer; it borrows `reconstruction`. */
void reconstruction_trainer(struct reconstruction *reconstruction, struct trainer *trainer);

#endif
