/* Features of slices: the last hidden map of our 2-D encoder (lib/models/autoencoder2d.h), averaged
 * over the slice, so as many as the coarsest level has channels. The latent is made from that map
 * by one convolution; with 4 channels it would tell too little itself. Not Inception's features:
 * distances between them compare with one another for the same weights only.
 *
 * Slices are gathered and go through the network some at a time; the features of a slice are the
 * same bit for bit whichever others go with it. */
#ifndef OCTPIPE_METRICS_SLICE_FEATURES_H
#define OCTPIPE_METRICS_SLICE_FEATURES_H

#include "lib/metrics/frechet.h"
#include "lib/models/stages.h"

struct slice_features {
    struct stage stage;
    int64_t rows, columns; /* of a slice */
    int64_t batch, held;   /* slices that a call takes; that wait */
    float *slices;         /* (batch, rows, columns) in [−1,1] */
    float *map;            /* (batch, stage.out_c, stage.out_h, stage.out_w) */
    double *mean;          /* (stage.out_c) */
    int64_t bytes;         /* that all this takes */
};

/* Plan the network for slices (rows, columns), in f32, several at a time where slices are small and
 * `memory` (bytes, 0: no bound) allows it. Sizes that the encoder does not take are refused with
 * the nearest ones that fit. After an error there is nothing to close. */
int slice_features_open(struct slice_features *features, struct weights *weights, int64_t rows,
                        int64_t columns, int64_t memory, const struct stage_settings *settings,
                        struct error *error);
void slice_features_close(struct slice_features *features); /* {0} is fine */

/* Where the caller puts the next slice (rows, columns), and the call that takes it: its features
 * are added to `moments`, by a later call too. flush adds those of all slices that wait. */
float *slice_features_place(struct slice_features *features);
int slice_features_add(struct slice_features *features, struct moments *moments,
                       struct error *error);
int slice_features_flush(struct slice_features *features, struct moments *moments,
                         struct error *error);

#endif
