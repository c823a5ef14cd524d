/* The measures of octmetrics, one interface: begin with the descriptions, add the slices, finish.
 *
 *   tv    of a volume scaled to [0,1]: √Σ of squared forward differences, or another definition
 *         (total_variation.h)
 *   dice  of two label volumes: each class that one of them holds, and the mean over these
 *   iou   the same for the intersection over the union
 *   mad   of two surfaces (S,D,W): mean absolute distance of each surface, and the mean over these
 *   psnr  of two volumes, peak 255
 *   ssim, ms-ssim  of two volumes, mean over the slices (D) (similarity.h)
 *   lpips of two volumes, mean over the slices (D) (perceptual.h)
 *   slice-difference, projection-difference  of a volume scaled to [0,1]: how much its neighbouring
 *         slices differ, or their means over H (neighbours.h) */
#ifndef OCTPIPE_METRICS_MEASURE_H
#define OCTPIPE_METRICS_MEASURE_H

#include "lib/metrics/perceptual.h"
#include "lib/metrics/total_variation.h"

enum measure_kind {
    MEASURE_TV,
    MEASURE_DICE,
    MEASURE_IOU,
    MEASURE_MAD,
    MEASURE_PSNR,
    MEASURE_SSIM,
    MEASURE_MS_SSIM,
    MEASURE_LPIPS,
    MEASURE_SLICE_DIFFERENCE,
    MEASURE_PROJECTION_DIFFERENCE,
    MEASURES,
};
extern const char *const measure_names[MEASURES + 1];

int measure_operands(enum measure_kind kind); /* 1 or 2 arrays */

struct measure_settings {
    bool background;               /* dice, iou: class 0 counts too */
    enum total_variation_kind tv;  /* of tv */
    int scales;                    /* of ms-ssim: 2 … SIMILARITY_SCALES */
    struct perceptual *perceptual; /* of lpips; slices of one size after another share its plan */
};

/* How results are called: the measure's name, and what was chosen where that is not the default,
 * "tv-isotropic", "ms-ssim-3-scales". Returns text. */
enum { MEASURE_NAME = 64 };
const char *measure_name(enum measure_kind kind, const struct measure_settings *settings,
                         char text[MEASURE_NAME]);

struct measurement {
    double value;     /* NaN where there is nothing to measure, infinite for the PSNR of equals */
    int64_t left_out; /* mad: positions where a surface is missing, which do not count */
    int64_t parts;
    struct measurement_part {
        int64_t number; /* of the class or surface */
        double value;
    } * part; /* NULL for measures without parts; measurement_free frees it */
};
void measurement_free(struct measurement *measurement);

/* Refused: kinds and types that the measure does not take, and a and b of different shapes. b is
 * NULL for measures of one array. The settings are copied. */
struct measure;
int measure_begin(struct measure **measure, enum measure_kind kind,
                  const struct measure_settings *settings, const struct array *a,
                  const struct array *b, struct error *error);

/* Add a slice of a and of b (NULL for one array), the values of their dtypes as f32. Fails only
 * where a network does. */
int measure_add(struct measure *measure, const float *a, const float *b, struct error *error);

/* The result; the measure is gone afterwards. */
void measure_finish(struct measure *measure, struct measurement *result);

#endif
