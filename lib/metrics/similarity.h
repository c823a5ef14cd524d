/* PSNR, SSIM and MS-SSIM of two volumes on the intensity scale 0…255, slice by slice.
 *
 * SSIM as in Wang et al. 2004: Gaussian window 11×11, σ = 1.5, K1 = 0.01, K2 = 0.03, covariances
 * by the window's weights (no sample correction), only places where the whole window is inside the
 * slice; the mean over the slice, then over the slices. scikit-image gives the same with
 * gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255.
 *
 * MS-SSIM as in Wang, Simoncelli and Bovik 2003: five scales, each the 2×2 means of the one before
 * (an odd last row or column is left out); the product of the mean contrast-structure term of the
 * first four and the mean SSIM of the last, to the powers 0.0448, 0.2856, 0.3001, 0.2363, 0.1333,
 * negative means as 0. torchmetrics' and pytorch-msssim's defaults give the same (the latter for
 * sides that are multiples of 16). */
#ifndef OCTPIPE_METRICS_SIMILARITY_H
#define OCTPIPE_METRICS_SIMILARITY_H

#include "lib/core/error.h"
#include "lib/io/array.h"

enum { SIMILARITY_WINDOW = 11, SIMILARITY_SCALES = 5, INTENSITY_PEAK = 255 };

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
    int scales; /* 1: SSIM; more: MS-SSIM */
    int64_t rows, columns;
    struct intensity a, b;
    double *gray[2]; /* intensities of a and b at the scale at hand: (rows, columns) */
    double *product; /* a, b, a², b², ab: (rows, columns, 5) */
    double *map;     /* each filtered along w: (rows, columns − 10, 5) */
    double *sum;     /* of each row's SSIM, of its contrast-structure terms: (rows, 2) */
};

/* scales is 1 … SIMILARITY_SCALES. Slices that are smaller than the window at the last scale, 176
 * of the first one's pixels for five, are refused. */
int ssim_begin(struct ssim *ssim, int scales, int64_t rows, int64_t columns, struct intensity a,
               struct intensity b, struct error *error);
/* The SSIM or MS-SSIM of two slices (rows, columns), the same bits for any number of threads. */
double ssim_slice(struct ssim *ssim, const float *a, const float *b);
void ssim_end(struct ssim *ssim); /* {0} is fine */

#endif
