/* Procedural volumes of the macula: an eye is drawn from random numbers, its layers, vessels and
 * fluid become tissue, and the tissue is scanned. Everything follows from the seed and the index of
 * the eye; the anatomy does not depend on the number of voxels. */
#ifndef OCTPIPE_PHANTOM_PHANTOM_H
#define OCTPIPE_PHANTOM_PHANTOM_H

#include "lib/phantom/speckle.h"
#include "lib/phantom/tissue.h"
#include "lib/phantom/vessels.h"

struct phantom {
    struct scan scan;
    struct eye eye;
    struct fluid fluid;
    struct surfaces surfaces;
    struct vessels vessels;
    struct tissue tissue;
    struct speckle speckle;
    int64_t batch;         /* most slices that phantom_slices makes at a time */
    int64_t bytes;         /* of all that is allocated */
    float *top;            /* (D, W, TOPS), mm (surfaces.h) */
    uint8_t *label;        /* (D, W) of enum vessel_label: the en-face map */
    float *radius, *half;  /* (D, W), mm (vessels.h) */
    float *power;          /* (batch, H, W) */
    float *column_scratch; /* (batch, tissue_scratch) */
};

/* Take memory to scan eyes with D, H, W voxels over a field of D, H, W mm, with batches as `memory`
 * bytes allow (0: two slices a thread). phantom_free of a zeroed one is fine. */
int phantom_plan(struct phantom *phantom, const int64_t extent[3], const double field[3],
                 int64_t memory, struct error *error);
void phantom_free(struct phantom *phantom);

/* Draw eye `index` of `seed`, with fluid in a share of the eyes: phantom->top and ->label are made,
 * and slices can be had from the first on. */
void phantom_begin(struct phantom *phantom, uint64_t seed, int64_t index, double fluid_share);

/* Scan slices d … d + count − 1, which follow on those before; count ≤ batch: gray (count, H, W),
 * and unless it is NULL `clean` (count, H, W), the same without speckle and noise. */
void phantom_slices(struct phantom *phantom, int64_t d, int64_t count, uint8_t *gray,
                    uint8_t *clean);

#endif
