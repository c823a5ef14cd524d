/* Retinal artery and vein trees, and where they lie in a scan.
 *
 * Four trunks leave the optic disc and bend around the macula as the arcades. Branches grow from
 * them by space colonization (Runions et al., 2005): points without blood draw the nearest vessel
 * towards them until it comes near. There are no such points in the foveal avascular zone. Calibres
 * follow Murray's law, r^m = Σ r_i^m over the branches of a fork. */
#ifndef OCTPIPE_PHANTOM_VESSELS_H
#define OCTPIPE_PHANTOM_VESSELS_H

#include "lib/core/error.h"
#include "lib/phantom/eye.h"

enum vessel_label { VESSEL_NONE, VESSEL_ARTERY, VESSEL_VEIN };

struct vessel_node {
    float y, x;     /* mm */
    float radius;   /* mm */
    int32_t parent; /* its index is lower; −1: a trunk begins here */
    uint8_t label;
};

/* A place that still is without blood. */
struct vessel_point {
    double y, x;
    int32_t nearest; /* node */
    double distance2;
};

struct vessels {
    struct vessel_node *node;
    int32_t count;
    struct vessel_point *point; /* and the rest: for growing */
    double *pull_y, *pull_x;    /* (nodes), the sum of pulls by points */
};

/* Take memory, of vessels_bytes; vessels_free of zeroed ones is fine. */
int vessels_plan(struct vessels *vessels, struct error *error);
int64_t vessels_bytes(void);
void vessels_free(struct vessels *vessels);

/* Grow the trees of an eye over a square of `extent` mm. */
void vessels_grow(struct vessels *vessels, const struct eye *eye, double extent);

/* Draw the trees en face, each at least one A-scan wide: label (D, W) of enum vessel_label, radius
 * (D, W) of the vessel and half (D, W), half of its extent along z, both in mm and 0 where there is
 * none. Where vessels cross, the thicker one counts. */
void vessels_draw(const struct vessels *vessels, const struct scan *scan, uint8_t *label,
                  float *radius, float *half);

#endif
