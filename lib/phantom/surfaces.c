#include "lib/phantom/surfaces.h"

#include "lib/phantom/draw.h"

#include <math.h>

const enum slab surface_slab[SURFACES] = {SLAB_NFL,   SLAB_INL, SLAB_ONL,
                                          SLAB_OUTER, SLAB_RPE, SLAB_CHOROID};

/* The mean eye's thicknesses in mm at the foveal centre, on the rim of the pit (about 1 mm away)
 * and far from it; and how wide the centre is, in radii of the pit. */
static const struct {
    double centre, rim, far, width;
} course[SLABS] = {
    [SLAB_NFL] = {0.002, 0.012, 0.014, 1.3},     [SLAB_GCL] = {0.004, 0.056, 0.027, 1.0},
    [SLAB_IPL] = {0.008, 0.044, 0.029, 1.0},     [SLAB_INL] = {0.010, 0.043, 0.033, 0.9},
    [SLAB_OPL] = {0.016, 0.030, 0.028, 0.9},     [SLAB_ONL] = {0.108, 0.078, 0.060, 1.2},
    [SLAB_OUTER] = {0.050, 0.039, 0.037, 0.7},   [SLAB_RPE] = {0.021, 0.020, 0.019, 1.0},
    [SLAB_CHOROID] = {0.290, 0.280, 0.230, 4.0},
};

/* Of each field. */
static const struct {
    double pitch[2]; /* mm along y and x */
    int64_t layers;
    enum draw_purpose purpose;
} plan[SURFACE_FIELDS] = {
    [FIELD_SHAPE] = {{1.6, 1.6}, 1, DRAW_SHAPE},
    [FIELD_THICKNESS] = {{0.9, 0.9}, SLABS, DRAW_THICKNESS},
    [FIELD_ROUGHNESS] = {{0.07, 0.07}, SLABS, DRAW_ROUGHNESS},
    [FIELD_MOTION] = {{0.3, INFINITY}, 1, DRAW_MOTION},
    [FIELD_TREMOR] = {{0.015, INFINITY}, 1, DRAW_TREMOR},
};

int surfaces_plan(struct surfaces *surfaces, double extent, struct error *error)
{
    *surfaces = (struct surfaces){0};
    for (int i = 0; i < SURFACE_FIELDS; i++) {
        const double pitch[3] = {plan[i].pitch[0], plan[i].pitch[1], INFINITY};
        if (lattice_plan(&surfaces->field[i], extent, pitch, plan[i].layers, 0, error))
            return -1;
    }
    return 0;
}

int64_t surfaces_bytes(const struct surfaces *surfaces)
{
    int64_t sum = 0;
    for (int i = 0; i < SURFACE_FIELDS; i++)
        sum += lattice_bytes(&surfaces->field[i]);
    return sum;
}

void surfaces_free(struct surfaces *surfaces)
{
    for (int i = 0; i < SURFACE_FIELDS; i++)
        lattice_free(&surfaces->field[i]);
}

/* Depth of Bruch's membrane. The eye moves between slices, so a part depends on y alone. */
static double bruch(const struct eye *eye, const struct lattice *field, double y, double x)
{
    const double wave = 0.010, motion = 0.006, tremor = 0.0015; /* mm, standard deviations */
    float shape, moved, trembled;
    lattice_column(&field[FIELD_SHAPE], y, x, &shape);
    lattice_column(&field[FIELD_MOTION], y, 0, &moved);
    lattice_column(&field[FIELD_TREMOR], y, 0, &trembled);
    return eye->depth + eye->tilt_y * y + eye->tilt_x * x - eye->bend * (y * y + x * x) +
           wave * shape + motion * moved + tremor * trembled;
}

/* What the nerve fibres have beyond their course: towards the disc, and along the arcades. */
static double nerve_fibres(double nasal, double up)
{
    double towards = fmin(fmax((nasal + 0.5) / 3.5, 0), 1);
    double arcade = (fabs(up) - 2.0 + 0.12 * nasal) / 0.9;
    return 0.022 * towards * towards + 0.018 * exp(-arcade * arcade) * (0.4 + 0.6 * towards);
}

static double thickness(const struct eye *eye, const struct fluid *fluid, enum slab slab,
                        double variation, double y, double x)
{
    double v = y - eye->fovea_y, u = x - eye->fovea_x, r2 = u * u + v * v;
    double wide = course[slab].width * eye->pit;
    double centre = exp(-r2 / (wide * wide)), rim = exp(-r2 / (2.1 * 2.1));
    double around = course[slab].far + (course[slab].rim - course[slab].far) * rim;
    if (slab == SLAB_NFL)
        around += nerve_fibres(eye->side * u, v);
    double mean = around + (course[slab].centre - around) * centre;
    double spread = slab == SLAB_CHOROID ? 0.12 : 0.05;
    return mean * eye->thickness[slab] * (1 + spread * fmin(fmax(variation, -3), 3)) +
           fluid_swelling(fluid, slab, y, x);
}

/* Make the borders from the nerve fibres to the outer nuclear layer uneven, by less than half of
 * the thinner layer beside them. */
static void roughen(const struct lattice *field, double y, double x, float *top)
{
    const float share = 0.06f; /* of the thinner layer, standard deviation */
    float rough[SLABS], above = top[SLAB_GCL] - top[SLAB_NFL];
    lattice_column(&field[FIELD_ROUGHNESS], y, x, rough);
    for (int slab = SLAB_GCL; slab <= SLAB_ONL; slab++) {
        float below = top[slab + 1] - top[slab];
        top[slab] += share * fminf(fmaxf(rough[slab], -3), 3) * fminf(above, below);
        above = below;
    }
}

/* Stack the slabs of one A-scan above and below Bruch's membrane. */
static void stack(const struct eye *eye, const struct fluid *fluid, const struct lattice *field,
                  double y, double x, float *top)
{
    float variation[SLABS];
    lattice_column(&field[FIELD_THICKNESS], y, x, variation);
    double depth = bruch(eye, field, y, x);
    top[SLAB_CHOROID] = (float)depth;
    top[SLABS] =
        (float)(depth + thickness(eye, fluid, SLAB_CHOROID, variation[SLAB_CHOROID], y, x));
    for (int slab = SLAB_RPE; slab >= SLAB_NFL; slab--) {
        depth -= thickness(eye, fluid, (enum slab)slab, variation[slab], y, x);
        top[slab] = (float)depth;
    }
    roughen(field, y, x, top);
}

/* How far the eye must move along z so that all of the retina is in the scan: from A-scans on a
 * grid of its own, so that it does not depend on the voxels. */
static double find_shift(const struct eye *eye, const struct fluid *fluid,
                         const struct lattice *field, const struct scan *scan)
{
    enum { GRID = 48 };
    const double margin = 0.06 * scan->field[1];
    float first = INFINITY, last = -INFINITY;
    for (int j = 0; j <= GRID; j++)
        for (int i = 0; i <= GRID; i++) {
            float top[TOPS];
            double y = scan->field[0] * ((double)j / GRID - 0.5);
            double x = scan->field[2] * ((double)i / GRID - 0.5);
            stack(eye, fluid, field, y, x, top);
            first = fminf(first, top[SLAB_NFL]);
            last = fmaxf(last, top[SLAB_CHOROID]);
        }
    double bottom = scan->field[1] - 2 * margin;
    return first < margin ? margin - first : last > bottom ? bottom - last : 0;
}

void surfaces_make(struct surfaces *surfaces, const struct eye *eye, const struct fluid *fluid,
                   const struct scan *scan, float *top)
{
    for (int i = 0; i < SURFACE_FIELDS; i++) {
        struct random_key key = draw_key(eye->seed, eye->index, plan[i].purpose, 0);
        lattice_fill(&surfaces->field[i], &key);
    }
    int64_t rows = scan->extent[0], columns = scan->extent[2];
    struct eye moved = *eye;
    moved.depth += find_shift(eye, fluid, surfaces->field, scan);
#pragma omp parallel for schedule(static)
    for (int64_t d = 0; d < rows; d++)
        for (int64_t w = 0; w < columns; w++)
            stack(&moved, fluid, surfaces->field, scan_y(scan, d), scan_x(scan, w),
                  top + (d * columns + w) * TOPS);
}

void surfaces_rows(const float *top, const struct scan *scan, int s, float *row)
{
    int64_t columns = scan->extent[0] * scan->extent[2];
    for (int64_t i = 0; i < columns; i++)
        row[i] = (float)(top[i * TOPS + surface_slab[s]] / scan->spacing[1] - 0.5);
}
