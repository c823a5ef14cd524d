/* LPIPS of two slices (lib/models/lpips.h): the distance of VGG-16 features with trained weights
 * for their channels (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a
 * Perceptual Metric"). A pair of slices is a run of the network, in f32 whatever the device. */
#ifndef OCTPIPE_METRICS_PERCEPTUAL_H
#define OCTPIPE_METRICS_PERCEPTUAL_H

#include "lib/metrics/similarity.h"
#include "lib/models/stages.h"

struct perceptual {
    struct weights *weights; /* the caller's */
    struct stage_settings settings;
    struct stage stage;
    int64_t rows, columns; /* that the stage is for; 0: none yet */
    float *gray[2];        /* (rows, columns) in [−1,1] */
    int64_t bytes;         /* that stage and slices take */
};

/* Make ready for slices (rows, columns); what is ready stays. weights and settings are set. After
 * an error there is nothing more to close than before. */
int perceptual_fit(struct perceptual *perceptual, int64_t rows, int64_t columns,
                   struct error *error);
void perceptual_close(struct perceptual *perceptual); /* {0} is fine */

/* The distance of a and b (rows, columns) of those intensities. */
int perceptual_distance(struct perceptual *perceptual, const float *a, struct intensity intensity_a,
                        const float *b, struct intensity intensity_b, double *distance,
                        struct error *error);

#endif
