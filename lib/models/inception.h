/* Inception-v3 (Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR
 * 2016) as the Fréchet inception distance reads it: the network of the weights
 * pt_inception-2015-12-05, with the tensor names of torchvision. It differs from torchvision's in
 * its pools: means leave the padding out (blocks 5, 6 and 7b), and Mixed_7c takes a maximum. */
#ifndef OCTPIPE_MODELS_INCEPTION_H
#define OCTPIPE_MODELS_INCEPTION_H

#include "lib/models/layers.h"

enum {
    INCEPTION_WIDTH = 32,      /* channels that the published network's first convolution makes */
    INCEPTION_FEATURES = 2048, /* channels of its last map */
    INCEPTION_SIZE = 299,      /* height and width of what it is given */
    INCEPTION_LEAST = 75,      /* the smallest height and width that leave a last map */
    INCEPTION_COLOURS = 3,
};

/* The tensor that tells it from other networks. */
extern const char inception_anchor[];

struct inception_config {
    int64_t width; /* even; the published network's widths are times width / INCEPTION_WIDTH */
};

/* From the shape of the first kernel. */
int inception_read(struct inception_config *config, struct weights *weights, struct error *error);

/* x (n, d, h, w, INCEPTION_COLOURS) in [−1,1] → the last map (n, d, h', w', features), 8×8 of
 * 299×299; their mean over h', w' are the features ("pool3"). f32, without gradients. */
int inception_build(struct builder *b, const struct inception_config *config, int x);

/* Channels of the last map. */
int64_t inception_features(const struct inception_config *config);

#endif
