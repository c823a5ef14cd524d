/* Layer surfaces: how deep each layer begins at every A-scan.
 *
 * Thicknesses follow the layers' known course: the inner layers vanish towards the foveal pit and
 * are thickest on its rim, the outer nuclear layer is thickest under the pit, the nerve fibres
 * thicken towards the disc and along the arcades. */
#ifndef OCTPIPE_PHANTOM_SURFACES_H
#define OCTPIPE_PHANTOM_SURFACES_H

#include "lib/core/error.h"
#include "lib/phantom/eye.h"
#include "lib/phantom/fluid.h"
#include "lib/phantom/lattice.h"

enum { TOPS = SLABS + 1, SURFACES = 6 };

/* The slabs whose tops are the surfaces of OCTA-500: ILM, IPL, OPL, ISOS, RPE and BM. The names
 * are those of the layers above the surface for IPL and OPL (their lower borders). */
extern const enum slab surface_slab[SURFACES];

/* The random fields that make an eye's surfaces its own. */
enum surface_field {
    FIELD_SHAPE,     /* of Bruch's membrane */
    FIELD_THICKNESS, /* of each slab */
    FIELD_ROUGHNESS, /* of each slab's top */
    FIELD_MOTION,    /* of the eye from slice to slice */
    FIELD_TREMOR,    /* the same, faster */
    SURFACE_FIELDS,
};

struct surfaces {
    struct lattice field[SURFACE_FIELDS];
};

/* Take memory for surfaces over a square of `extent` mm; surfaces_free of zeroed ones is fine. */
int surfaces_plan(struct surfaces *surfaces, double extent, struct error *error);
int64_t surfaces_bytes(const struct surfaces *surfaces);
void surfaces_free(struct surfaces *surfaces);

/* Fill top (D, W, TOPS), in mm: the depth where each slab begins, and where the choroid ends.
 * Each lies below the one before, and all of the retina within the scan. */
void surfaces_make(struct surfaces *surfaces, const struct eye *eye, const struct fluid *fluid,
                   const struct scan *scan, float *top);

/* Surface s of `top` as row indices (D, W); row h is the middle of voxel h. */
void surfaces_rows(const float *top, const struct scan *scan, int s, float *row);

#endif
