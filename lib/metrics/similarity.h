/* PSNR and SSIM of two volumes on the intensity scale 0…255, slice by slice.
 *
 * SSIM as in Wang et al. 2004: Gaussian window 11×11, σ = 1.5, K1 = 0.01, K2 = 0.03, covariances
 * by the window's weights (no sample correction), only places where the whole window is inside the
 * slice; the mean over the slice, then over the slices. scikit-image gives the same with
 * gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255. */
#ifndef OCTPIPE_METRICS_SIMILARITY_H
#define OCTPIPE_METRICS_SIMILARITY_H

#include "lib/core/error.h"
#include "lib/io/array.h"

enum { SIMILARITY_WINDOW = 11, INTENSITY_PEAK = 255 };

/* intensity 0…255 = scale·(stored value) + offset */
struct intensity {
    double scale, offset;
};

/* Of a volume: u1 is stored as it is, anything else in [−1,1]. */
struct intensity volume_intensity(const struct array *volume);

/* Σ (a − b)² in intensities. */
double squared_error(const float *a, struct intensity intensity_a, const float *b,
                     struct intensity intensity_b, int64_t count);

/* 10·log10(255²·count/squared_error); infinite for equal volumes, NaN when count is 0. */
double psnr(double squared_error, int64_t count);

struct ssim {
    int64_t rows, columns;
    struct intensity a, b;
    double *map; /* a, b, a², b², ab, each filtered along w: (rows, columns − 10, 5) */
    double *row; /* of them: (columns, 5) */
};

/* Slices smaller than the window are refused. */
int ssim_begin(struct ssim *ssim, int64_t rows, int64_t columns, struct intensity a,
               struct intensity b, struct error *error);
double ssim_slice(struct ssim *ssim, const float *a, const float *b);
void ssim_end(struct ssim *ssim);

#endif
