/* Tissue: the power that each voxel sends back, before speckle and noise.
 *
 * Each slab has a reflectivity, with texture; light is lost on the way down, to vessels and the
 * pigment epithelium most. Power 1 is what shows as gray 255 (speckle.h). */
#ifndef OCTPIPE_PHANTOM_TISSUE_H
#define OCTPIPE_PHANTOM_TISSUE_H

#include "lib/phantom/fluid.h"
#include "lib/phantom/lattice.h"
#include "lib/phantom/surfaces.h"

/* The random fields of tissue, by y and x where nothing else is said. */
enum tissue_field {
    FIELD_TEXTURE, /* of layers, also by depth below the ILM */
    FIELD_BUNDLES, /* of nerve fibres */
    FIELD_GLEAM,   /* of the ILM where it faces the light */
    FIELD_STRIPES, /* shadows of what is too small to draw */
    FIELD_GAIN,
    FIELD_FLICKER, /* of the light from slice to slice, by y */
    FIELD_CHOROID, /* vessels are where this and the next are near 0, also by depth below BM */
    FIELD_CHOROID_PAIR,
    FIELDS,
};

struct tissue {
    const struct scan *scan;
    const struct eye *eye;
    const struct fluid *fluid;
    struct lattice field[FIELDS];
    int64_t per_voxel; /* samples of an A-scan, several a voxel where voxels are coarse */
    int64_t samples;
    double pitch;  /* mm between samples */
    float *weight; /* (per_voxel + 2*TISSUE_REACH): samples to a voxel, with the axial blur */
};

enum { TISSUE_REACH = 3 }; /* samples beyond a voxel that its power takes part of */

/* Take memory for a scan; tissue_free(tissue) of a zeroed one is fine. */
int tissue_plan(struct tissue *tissue, const struct scan *scan, struct error *error);
int64_t tissue_bytes(const struct tissue *tissue);
void tissue_free(struct tissue *tissue);

/* Fill the fields for an eye with its fluid, which must stay. */
void tissue_set(struct tissue *tissue, const struct eye *eye, const struct fluid *fluid);

/* Floats of scratch memory that tissue_column needs. */
int64_t tissue_scratch(const struct tissue *tissue);

/* An A-scan: power (H) with `stride` floats from one to the next, from the tops of its slabs (TOPS)
 * in mm and the vessel in it, if half > 0 (vessels.h). */
void tissue_column(const struct tissue *tissue, double y, double x, const float *top, float radius,
                   float half, float *scratch, float *power, int64_t stride);

#endif
