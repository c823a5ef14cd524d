/* Detection: speckle, the scanner's noise, and the compression to gray.
 *
 * Speckle multiplies a voxel's power by a gamma variable of mean 1 and shape `looks` (the average
 * of that many independent exponential ones); by Wilson and Hilferty's approximation that is a cube
 * of a normal one, (1 − 1/9L + g/3√L)³. g is white noise passed through the scanner's point spread.
 * The noise adds the signed square of another normal one, with less correlation, and none between
 * slices; it can be negative because the scanner subtracts its mean background. Gray is
 * 255·power^¼, the compression that the compared scans show (docs/phantom.md). */
#ifndef OCTPIPE_PHANTOM_SPECKLE_H
#define OCTPIPE_PHANTOM_SPECKLE_H

#include "lib/core/error.h"
#include "lib/phantom/eye.h"

/* A symmetric filter whose squared taps add up to 1. */
struct blur {
    int64_t reach;
    float *tap; /* (2*reach + 1) */
};

/* Correlated standard normals for the slices of a scan, some slices at a time. Fields are periodic,
 * so that their variance is 1 everywhere. */
struct speckle {
    const struct scan *scan;
    const struct eye *eye;
    struct blur blur[3], noise_blur[2]; /* along D, H, W; along H, W */
    int64_t batch;                      /* most slices at a time */
    int64_t known;                      /* the first slice that is not in the ring yet */
    float *ring;                        /* (batch + 2*reach along D, H, W), blurred along H, W */
    float *scratch;                     /* (batch): three slices and a row each */
};

/* Take memory for a scan, speckle_bytes of it; speckle_free of a zeroed one is fine. */
int64_t speckle_bytes(const struct scan *scan, int64_t batch);
int speckle_plan(struct speckle *speckle, const struct scan *scan, int64_t batch,
                 struct error *error);
void speckle_free(struct speckle *speckle);

/* Begin an eye. */
void speckle_start(struct speckle *speckle, const struct eye *eye);

/* Get ready for slices d … d + count − 1, which follow on those before; count ≤ batch. */
void speckle_advance(struct speckle *speckle, int64_t d, int64_t count);

/* Detect slice d, one of those: gray (H, W) from power (H, W). `slot`, below batch, differs
 * between slices that are detected at the same time. */
void speckle_detect(const struct speckle *speckle, int64_t d, int64_t slot, const float *power,
                    uint8_t *gray);

/* Gray of `count` powers without speckle and noise. */
void speckle_compress(const float *power, uint8_t *gray, int64_t count);

#endif
