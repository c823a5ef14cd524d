#include "lib/phantom/lattice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The weights of the three knots about a point; f in [0,1) is its place in their middle cell. */
static void spline(double f, float weight[3])
{
    /* The mean over f of the sum of squares is 11/20; its root makes the variance 1. */
    const double scale = 1.3483997249264841;
    weight[0] = (float)(scale * 0.5 * (1 - f) * (1 - f));
    weight[1] = (float)(scale * (0.5 + f * (1 - f)));
    weight[2] = (float)(scale * 0.5 * f * f);
}

static int64_t knots(double extent, double pitch)
{
    return isinf(pitch) ? 1 : (int64_t)ceil(extent / pitch) + 3;
}

int lattice_plan(struct lattice *lattice, double extent, const double pitch[3], int64_t layers,
                 double angle, struct error *error)
{
    /* A turned square needs a larger one around it. */
    double reach = extent * (fabs(sin(angle)) + fabs(cos(angle)));
    *lattice = (struct lattice){.rows = knots(reach, pitch[0]),
                                .columns = knots(reach, pitch[1]),
                                .layers = layers,
                                .pitch = {pitch[0], pitch[1], pitch[2]},
                                .turn = {sin(angle), cos(angle)}};
    lattice->value = malloc((size_t)lattice_bytes(lattice));
    return lattice->value ? 0 : error_set(error, "out of memory");
}

int64_t lattice_bytes(const struct lattice *lattice)
{
    return lattice->rows * lattice->columns * lattice->layers * (int64_t)sizeof *lattice->value;
}

void lattice_fill(struct lattice *lattice, const struct random_key *key)
{
    random_normal(key, lattice->value, lattice->rows * lattice->columns * lattice->layers);
}

void lattice_free(struct lattice *lattice)
{
    free(lattice->value);
    lattice->value = NULL;
}

/* The first of the knots about a position, and their weights. */
static int64_t locate(double position, double pitch, int64_t count, float weight[3], int *taps)
{
    if (count == 1) {
        weight[0] = 1;
        *taps = 1;
        return 0;
    }
    double cell = position / pitch + 0.5 * (double)(count - 2);
    int64_t first = (int64_t)floor(cell);
    first = first < 0 ? 0 : first > count - 3 ? count - 3 : first;
    cell -= (double)first;
    spline(fmin(fmax(cell, 0), 1), weight);
    *taps = 3;
    return first;
}

void lattice_column(const struct lattice *lattice, double y, double x, float *knot)
{
    double turned_y = lattice->turn[1] * y - lattice->turn[0] * x;
    double turned_x = lattice->turn[0] * y + lattice->turn[1] * x;
    float weight_y[3], weight_x[3];
    int taps_y, taps_x;
    int64_t row = locate(turned_y, lattice->pitch[0], lattice->rows, weight_y, &taps_y);
    int64_t column = locate(turned_x, lattice->pitch[1], lattice->columns, weight_x, &taps_x);
    memset(knot, 0, (size_t)lattice->layers * sizeof *knot);
    for (int j = 0; j < taps_y; j++)
        for (int i = 0; i < taps_x; i++) {
            const float *from =
                lattice->value + ((row + j) * lattice->columns + column + i) * lattice->layers;
            float weight = weight_y[j] * weight_x[i];
            for (int64_t k = 0; k < lattice->layers; k++)
                knot[k] += weight * from[k];
        }
}

float lattice_along(const struct lattice *lattice, const float *knot, double z)
{
    double cell = fmin(fmax(z / lattice->pitch[2], 0), (double)(lattice->layers - 3));
    int64_t first = (int64_t)cell;
    float weight[3];
    spline(cell - (double)first, weight);
    return weight[0] * knot[first] + weight[1] * knot[first + 1] + weight[2] * knot[first + 2];
}
