/* What is peculiar to one eye, and the voxels it is scanned with. Lengths are millimetres: y along
 * D and x along W from the centre of the field, z along H down from its top. */
#ifndef OCTPIPE_PHANTOM_EYE_H
#define OCTPIPE_PHANTOM_EYE_H

#include <stdbool.h>
#include <stdint.h>

/* Slabs of tissue from the vitreous down: what surfaces.c gives a thickness. */
enum slab {
    SLAB_NFL,     /* nerve fibre layer */
    SLAB_GCL,     /* ganglion cells */
    SLAB_IPL,     /* inner plexiform */
    SLAB_INL,     /* inner nuclear */
    SLAB_OPL,     /* outer plexiform */
    SLAB_ONL,     /* outer nuclear, with the external limiting membrane, down to the ellipsoids */
    SLAB_OUTER,   /* ellipsoid zone to interdigitation zone: the photoreceptors' segments */
    SLAB_RPE,     /* pigment epithelium, down to Bruch's membrane */
    SLAB_CHOROID, /* choriocapillaris and choroid */
    SLABS,
};

/* The scan: extents, field of view and voxel in the order D, H, W. */
struct scan {
    int64_t extent[3];
    double field[3], spacing[3];
};
double scan_y(const struct scan *scan, int64_t d);
double scan_x(const struct scan *scan, int64_t w);

struct eye {
    uint64_t seed;
    int64_t index;
    double side;             /* +1: the optic disc lies towards larger x; −1 the other eye */
    double fovea_y, fovea_x; /* its centre */
    double avascular;        /* radius of the foveal avascular zone */
    double pit;              /* radius of the foveal pit */
    double depth;            /* of Bruch's membrane under the middle of the field */
    double tilt_y, tilt_x;   /* slope of Bruch's membrane */
    double bend;             /* its rise, mm per mm² */
    double thickness[SLABS]; /* factors of the mean eye's */
    double level[SLABS];     /* dB on top of the mean eye's reflectivity */
    double gain;             /* dB, of the whole scan */
    double noise;            /* gray at which the scanner's noise lies at the top of the scan */
    double noise_spread;     /* deviation of its amplitude, relative to the mean */
    double looks;            /* frames averaged to one: speckle contrast is 1/√looks */
    bool fluid;
};

/* Draw eye `index` of `seed`; fluid_share in [0,1] is the probability of fluid. */
void eye_draw(struct eye *eye, uint64_t seed, int64_t index, double fluid_share);

#endif
