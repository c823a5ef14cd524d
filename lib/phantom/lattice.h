/* Smooth random fields: standard normals on a lattice of (y, x, layer or depth), joined by
 * quadratic B-splines and scaled to variance 1 on average. A field is a function of millimetres, so
 * it is the same for every number of voxels. */
#ifndef OCTPIPE_PHANTOM_LATTICE_H
#define OCTPIPE_PHANTOM_LATTICE_H

#include "lib/core/error.h"
#include "lib/core/random.h"

struct lattice {
    int64_t rows, columns, layers; /* knots along y, x, z */
    double pitch[3];               /* millimetres between knots along y, x, z */
    double turn[2];                /* sine and cosine of its angle to the volume's axes */
    float *value;                  /* (rows, columns, layers) */
};

/* Take memory for a field that covers a square of `extent` mm about the origin, turned by `angle`
 * radians, with `layers` knots along z from z = 0 on. A field that does not vary along an axis has
 * an infinite pitch there. lattice_free(lattice) of a zeroed one is fine. */
int lattice_plan(struct lattice *lattice, double extent, const double pitch[3], int64_t layers,
                 double angle, struct error *error);
void lattice_fill(struct lattice *lattice, const struct random_key *key);
int64_t lattice_bytes(const struct lattice *lattice);
void lattice_free(struct lattice *lattice);

/* The `layers` values of the field at (y, x): knots for lattice_along where the field goes on
 * along z, values of variance 1 where its layers are apart. */
void lattice_column(const struct lattice *lattice, double y, double x, float *knot);

/* The field at z within a column; z is held to where there are knots. */
float lattice_along(const struct lattice *lattice, const float *knot, double z);

#endif
