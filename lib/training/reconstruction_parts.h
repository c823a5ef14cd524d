/* The trainer of reconstructions from inside: for reconstruction*.c alone. */
#ifndef OCTPIPE_TRAINING_RECONSTRUCTION_PARTS_H
#define OCTPIPE_TRAINING_RECONSTRUCTION_PARTS_H

#include "lib/training/adversary.h"
#include "lib/training/codebook.h"
#include "lib/training/order.h"
#include "lib/training/reconstruction.h"

/* Of the graph: 2-D quantizer, 3-D quantizer, mean|h_sr − encoder(slice)|. */
enum { EXTRA_LOSSES = 3 };

/* What a kind's builder makes. */
struct reconstruction_graph {
    int x, y; /* slices (1, k, h, w, 1) f32 and their reconstruction */
    struct gradient_seed extra[EXTRA_LOSSES];
    int extras;
    int latents;          /* what the quantizer that learns reads, an output after y; −1: none */
    const char *codebook; /* its key */
    const char *last;     /* the layer whose kernel λ is of */
};

struct reconstruction {
    struct weights *weights, *encoder; /* encoder: MULTISLICE */
    struct parameters *parameters;
    const struct dataset *data;
    const struct train_options *options;
    struct reconstruction_settings settings;
    struct stage_settings stage;
    struct adversary adversary;

    int64_t learned;    /* volumes to learn from, the first ones */
    int64_t k, d, h, w; /* slices decoded; box that is read: NHAE d slices, else k */
    int64_t thumbnail;  /* NHAE: factor from box to thumbnail */
    struct order order;
    struct network *network; /* the one that runs */
    struct network *judged;  /* the one from adversarial_start on; NULL: runs already */
    bool judges;             /* the network at hand has the adversarial term */
    int extras;
    float *box, *small, *numbers; /* NHAE: (d, h, w), its thumbnail, (k) */
    float *slices, *y;            /* (k, h, w) */
    struct parameter *codebook;   /* that warms up; NULL: none */
    struct codebook_latents latents;
    int64_t bytes; /* of networks and buffers */
    const char *names[TRAINER_LOSSES + 1];
};

/* Sizes of a sample from settings, data and weights; refuses what does not fit. */
int reconstruction_arrange(struct reconstruction *reconstruction, struct error *error);

/* Keys of what learns (weights_train_only); NULL: all. */
const char *const *reconstruction_learns(enum reconstruction_kind kind);

/* Names of the extra losses, in the builder's order. */
int reconstruction_names(enum reconstruction_kind kind, const char **names);

/* Add inputs and networks to a graph. */
void reconstruction_build(struct reconstruction *reconstruction, struct builder *builder,
                          struct reconstruction_graph *graph);

/* Read part `part` of step `step`, or held-out sample `number` of `count`. */
void reconstruction_read(struct reconstruction *reconstruction, int64_t step, int64_t part);
void reconstruction_read_held(struct reconstruction *reconstruction, int64_t number, int64_t count);

#endif
