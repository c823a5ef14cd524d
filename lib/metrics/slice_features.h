/* Features of slices, the means over the last map of a network.
 *
 * encoder: the last hidden map of our 2-D encoder (lib/models/autoencoder2d.h), as many features as
 * the coarsest level has channels. The latent is made from that map by one convolution; with 4
 * channels it would tell too little itself. Distances between these features compare with one
 * another for the same weights only.
 *
 * inception: pool3 of the network of the Fréchet inception distance (lib/models/inception.h), 2048
 * features. A slice is resized to 299×299, bilinear between the centres of pixels, without
 * filtering (align_corners=False, antialias=False), as pytorch-fid does.
 *
 * Slices are gathered and go through the network some at a time; the features of a slice are the
 * same bit for bit whichever others go with it. */
#ifndef OCTPIPE_METRICS_SLICE_FEATURES_H
#define OCTPIPE_METRICS_SLICE_FEATURES_H

#include "lib/io/resize.h"
#include "lib/metrics/feature_set.h"
#include "lib/models/stages.h"

enum slice_network { SLICE_ENCODER, SLICE_INCEPTION, SLICE_NETWORKS };
extern const char *const slice_networks[]; /* "encoder", "inception", NULL */

struct slice_features {
    enum slice_network network;
    struct stage stage;
    int64_t rows, columns; /* of a slice */
    int64_t batch, held;   /* slices that a call takes; that wait */
    int64_t input;         /* values of a slice as the network reads it */
    float *slices;         /* (batch, input) in [−1,1] */
    float *slice;          /* (rows, columns), where they are resized; else NULL */
    struct resize *resize;
    float *map;    /* (batch, stage.out_c, stage.out_h, stage.out_w) */
    double *mean;  /* (stage.out_c) */
    int64_t bytes; /* that all this takes */
};

/* Which network a file holds; with `wanted` (−1: any) another one is an error that names both. */
int slice_network_find(struct weights *weights, int wanted, enum slice_network *network,
                       struct error *error);

/* Plan the network for slices (rows, columns), in f32, several at a time where slices are small and
 * `memory` (bytes, 0: no bound) allows it. Sizes that the encoder does not take are refused with
 * the nearest ones that fit. After an error there is nothing to close. */
int slice_features_open(struct slice_features *features, enum slice_network network,
                        struct weights *weights, int64_t rows, int64_t columns, int64_t memory,
                        const struct stage_settings *settings, struct error *error);
void slice_features_close(struct slice_features *features); /* {0} is fine */

/* For Inception's features: take slices (rows, columns) from now on, with the same network. None
 * may wait. */
int slice_features_reshape(struct slice_features *features, int64_t rows, int64_t columns,
                           struct error *error);

/* Where the caller puts the next slice (rows, columns), and the call that takes it: its features
 * are added to `set`, by a later call too. flush adds those of all slices that wait. */
float *slice_features_place(struct slice_features *features);
int slice_features_add(struct slice_features *features, struct feature_set *set,
                       struct error *error);
int slice_features_flush(struct slice_features *features, struct feature_set *set,
                         struct error *error);

#endif
