/* Fluid: a swelling of the inner and outer nuclear layers near the fovea, with dark ellipsoidal
 * pockets in them, as in macular edema. */
#ifndef OCTPIPE_PHANTOM_FLUID_H
#define OCTPIPE_PHANTOM_FLUID_H

#include "lib/phantom/eye.h"

enum { FLUID_POCKETS = 96 };

struct fluid_pocket {
    enum slab slab;            /* the layer that holds it, in the middle of its thickness */
    double y, x;               /* of its centre, mm */
    double radius_y, radius_x; /* mm */
    double height;             /* half of its extent along z, mm */
};

struct fluid {
    double y, x;            /* where the layers are swollen most, mm */
    double radius;          /* of the swelling, mm */
    double swelling[SLABS]; /* what it adds to the thickness there, mm */
    int count;
    struct fluid_pocket pocket[FLUID_POCKETS];
};

/* Draw the swelling and the pockets of an eye; none without eye->fluid. */
void fluid_draw(struct fluid *fluid, const struct eye *eye);

/* What the swelling adds to the thickness of a layer at (y, x), mm. */
double fluid_swelling(const struct fluid *fluid, enum slab slab, double y, double x);

/* Half of a pocket's extent along z at (y, x), mm; 0 outside of it. */
double fluid_half_chord(const struct fluid_pocket *pocket, double y, double x);

#endif
