#include "lib/phantom/tissue.h"

#include "lib/phantom/draw.h"

#include <math.h>
#include <stdlib.h>

static const double finest = 0.0025;    /* mm: samples are no farther apart */
static const double axial_blur = 0.003; /* mm, standard deviation of the point spread */

/* What the mean eye's A-scan holds from the ILM down. A zone begins at a fraction of a slab's
 * thickness plus millimetres, and its gray (that of power^¼, without speckle) goes evenly from one
 * value to another until the next zone. */
static const struct zone {
    enum slab slab;
    double fraction, offset;
    double gray, gray_end;
} zones[] = {
    {SLAB_NFL, 0, 0, 140, 130},         /* inner limiting membrane */
    {SLAB_NFL, 0, 0.008, 126, 116},     /* nerve fibres */
    {SLAB_GCL, 0, 0, 98, 94},           /* ganglion cells */
    {SLAB_IPL, 0, 0, 103, 98},          /* inner plexiform layer */
    {SLAB_INL, 0, 0, 74, 70},           /* inner nuclear layer */
    {SLAB_OPL, 0, 0, 92, 86},           /* outer plexiform layer */
    {SLAB_ONL, 0, 0, 58, 53},           /* fibres of Henle */
    {SLAB_ONL, 0.4, 0, 51, 45},         /* outer nuclear layer */
    {SLAB_ONL, 1, -0.031, 84, 84},      /* external limiting membrane */
    {SLAB_ONL, 1, -0.024, 66, 70},      /* myoids */
    {SLAB_OUTER, 0, 0, 164, 164},       /* ellipsoids */
    {SLAB_OUTER, 0, 0.018, 124, 120},   /* outer segments */
    {SLAB_OUTER, 1, -0.014, 146, 146},  /* interdigitation */
    {SLAB_RPE, 0, 0, 184, 172},         /* pigment epithelium */
    {SLAB_CHOROID, 0, 0, 134, 134},     /* choriocapillaris */
    {SLAB_CHOROID, 0, 0.014, 132, 122}, /* choroid */
    {SLAB_CHOROID, 1, 0, 112, 112},     /* sclera */
};
enum { ZONES = sizeof zones / sizeof *zones };

static double gray_to_db(double gray)
{
    return 40 * log10(gray / 255);
}

/* Of each field. */
static const struct {
    double pitch[3]; /* mm along y, x, z */
    int64_t layers;
    double angle; /* radians */
    enum draw_purpose purpose;
} plan[FIELDS] = {
    [FIELD_TEXTURE] = {{0.05, 0.05, 0.014}, 48, 0.4, DRAW_TEXTURE},
    [FIELD_BUNDLES] = {{0.05, 0.6, INFINITY}, 1, 0, DRAW_BUNDLES},
    [FIELD_GLEAM] = {{0.15, 0.15, INFINITY}, 1, 0.9, DRAW_GLEAM},
    [FIELD_STRIPES] = {{0.02, 0.02, INFINITY}, 1, 0.3, DRAW_STRIPES},
    [FIELD_GAIN] = {{0.5, 0.5, INFINITY}, 1, 0.7, DRAW_GAIN},
    [FIELD_FLICKER] = {{0.02, INFINITY, INFINITY}, 1, 0, DRAW_FLICKER},
    [FIELD_CHOROID] = {{0.2, 0.2, 0.06}, 12, 0.5, DRAW_CHOROID},
    [FIELD_CHOROID_PAIR] = {{0.2, 0.2, 0.06}, 12, 1.1, DRAW_CHOROID_PAIR},
};

/* A voxel's power is the mean over its samples of the power blurred by the point spread. */
static int plan_weights(struct tissue *tissue, struct error *error)
{
    int64_t taps = tissue->per_voxel + 2 * TISSUE_REACH;
    tissue->weight = calloc((size_t)taps, sizeof *tissue->weight);
    if (!tissue->weight)
        return error_set(error, "out of memory");
    double blur[2 * TISSUE_REACH + 1], sum = 0;
    for (int i = 0; i <= 2 * TISSUE_REACH; i++) {
        double at = (i - TISSUE_REACH) * tissue->pitch / axial_blur;
        sum += blur[i] = exp(-0.5 * at * at);
    }
    for (int64_t k = 0; k < tissue->per_voxel; k++)
        for (int i = 0; i <= 2 * TISSUE_REACH; i++)
            tissue->weight[k + i] += (float)(blur[i] / (sum * (double)tissue->per_voxel));
    return 0;
}

int tissue_plan(struct tissue *tissue, const struct scan *scan, struct error *error)
{
    double extent = fmax(scan->field[0], scan->field[2]);
    *tissue = (struct tissue){.scan = scan};
    tissue->per_voxel = (int64_t)ceil(scan->spacing[1] / finest);
    tissue->pitch = scan->spacing[1] / (double)tissue->per_voxel;
    tissue->samples = tissue->per_voxel * scan->extent[1];
    for (int i = 0; i < FIELDS; i++)
        if (lattice_plan(&tissue->field[i], extent, plan[i].pitch, plan[i].layers, plan[i].angle,
                         error))
            return -1;
    return plan_weights(tissue, error);
}

int64_t tissue_bytes(const struct tissue *tissue)
{
    int64_t sum = 0;
    for (int i = 0; i < FIELDS; i++)
        sum += lattice_bytes(&tissue->field[i]);
    return sum;
}

void tissue_free(struct tissue *tissue)
{
    for (int i = 0; i < FIELDS; i++)
        lattice_free(&tissue->field[i]);
    free(tissue->weight);
    *tissue = (struct tissue){0};
}

void tissue_set(struct tissue *tissue, const struct eye *eye, const struct fluid *fluid)
{
    tissue->eye = eye;
    tissue->fluid = fluid;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < FIELDS; i++) {
        struct random_key key = draw_key(eye->seed, eye->index, plan[i].purpose, 0);
        lattice_fill(&tissue->field[i], &key);
    }
}

int64_t tissue_scratch(const struct tissue *tissue)
{
    return tissue->samples + 2 * TISSUE_REACH + tissue->field[FIELD_TEXTURE].layers +
           2 * tissue->field[FIELD_CHOROID].layers;
}

/* One A-scan in the making: dB of each sample. */
struct column {
    const struct tissue *tissue;
    const float *top;
    double y, x;
    float *level;
    float *knot; /* of the fields, for lattice_along */
};

/* The first sample whose middle lies at or below z. */
static int64_t sample_below(const struct column *column, double z)
{
    double sample = ceil(z / column->tissue->pitch - 0.5);
    return (int64_t)fmin(fmax(sample, 0), (double)column->tissue->samples);
}

static double sample_depth(const struct column *column, int64_t i)
{
    return ((double)i + 0.5) * column->tissue->pitch;
}

static double zone_begin(const struct column *column, const struct zone *zone)
{
    double top = column->top[zone->slab];
    return top + zone->fraction * (column->top[zone->slab + 1] - top) + zone->offset;
}

static void paint_zones(struct column *column)
{
    const struct eye *eye = column->tissue->eye;
    double begin = zone_begin(column, &zones[0]);
    for (int k = 0; k < ZONES; k++) {
        double bottom = column->tissue->scan->field[1];
        double end = k + 1 < ZONES ? fmax(begin, zone_begin(column, &zones[k + 1])) : bottom;
        double level = gray_to_db(zones[k].gray) + eye->level[zones[k].slab];
        double change = gray_to_db(zones[k].gray_end) + eye->level[zones[k].slab] - level;
        int64_t first = sample_below(column, begin), last = sample_below(column, end);
        for (int64_t i = first; i < last; i++)
            column->level[i] =
                (float)(level + change * (double)(i - first) / (double)(last - first));
        begin = end;
    }
}

static void add_texture(struct column *column)
{
    const double retina = 0.7, choroid = 1.0, bundles = 1.0, gleam = 2.5; /* dB */
    const double membrane = 0.008;                                        /* mm that gleam */
    const struct lattice *field = column->tissue->field;
    float bundle, glance;
    lattice_column(&field[FIELD_TEXTURE], column->y, column->x, column->knot);
    lattice_column(&field[FIELD_BUNDLES], column->y, column->x, &bundle);
    lattice_column(&field[FIELD_GLEAM], column->y, column->x, &glance);
    double top = column->top[SLAB_NFL];
    int64_t first = sample_below(column, top), gleams = sample_below(column, top + membrane);
    int64_t nerve = sample_below(column, column->top[SLAB_GCL]);
    int64_t bruch = sample_below(column, column->top[SLAB_CHOROID]);
    int64_t last = sample_below(column, column->top[SLABS]);
    for (int64_t i = first; i < last; i++) {
        double z = sample_depth(column, i) - top, strength = i < bruch ? retina : choroid;
        column->level[i] += (float)strength * lattice_along(&field[FIELD_TEXTURE], column->knot, z);
    }
    for (int64_t i = first; i < nerve; i++)
        column->level[i] += (float)bundles * bundle;
    for (int64_t i = first; i < gleams; i++)
        column->level[i] += (float)gleam * fmaxf(glance, 0);
}

/* Vessels of the choroid, and what light is lost in it and below. */
static void add_choroid(struct column *column)
{
    const double capillaries = 0.03, lumen = 7; /* mm without large vessels; dB */
    const struct lattice *field = column->tissue->field;
    float *knot = column->knot, *pair = knot + field[FIELD_CHOROID].layers;
    lattice_column(&field[FIELD_CHOROID], column->y, column->x, knot);
    lattice_column(&field[FIELD_CHOROID_PAIR], column->y, column->x, pair);
    double top = column->top[SLAB_CHOROID], bottom = column->top[SLABS];
    for (int64_t i = sample_below(column, top); i < column->tissue->samples; i++) {
        double z = sample_depth(column, i) - top;
        double loss = 13 * (1 - exp(-z / 0.12)) + 26 * z + 35 * z * z;
        if (z > capillaries && z < bottom - top) {
            float a = lattice_along(&field[FIELD_CHOROID], knot, z);
            float b = lattice_along(&field[FIELD_CHOROID_PAIR], pair, z);
            double blood = fmin(fmax((1.3 - a * a - b * b) / 1.1, 0), 1);
            loss += lumen * blood * fmin((z - capillaries) / capillaries, 1);
        }
        column->level[i] -= (float)loss;
    }
}

static void add_fluid(struct column *column)
{
    const double gray = 26, rim = 0.006; /* mm over which a pocket's wall is soft */
    const struct fluid *fluid = column->tissue->fluid;
    for (int p = 0; p < fluid->count; p++) {
        const struct fluid_pocket *pocket = &fluid->pocket[p];
        double half = fluid_half_chord(pocket, column->y, column->x);
        if (half == 0)
            continue;
        double middle = 0.5 * (column->top[pocket->slab] + column->top[pocket->slab + 1]);
        int64_t last = sample_below(column, middle + half);
        for (int64_t i = sample_below(column, middle - half); i < last; i++) {
            double inside = half - fabs(sample_depth(column, i) - middle);
            float share = (float)fmin(inside / rim, 1);
            column->level[i] += share * ((float)gray_to_db(gray) - column->level[i]);
        }
    }
}

/* A vessel below the nerve fibres: bright where light enters it, and a shadow on all below. */
static void add_vessel(struct column *column, float radius, float half)
{
    const double below = 0.008, absorption = 70, most = 11; /* mm, dB/mm, dB */
    const double gray = 134, fade = 60;                     /* of blood; dB/mm */
    double top = column->top[SLAB_NFL], room = column->top[SLAB_INL] - top - 2 * radius;
    double middle = top + radius + below + 0.25 * fmax(room, 0);
    float share = fminf(2 * half / radius, 1) * fminf(radius / 0.02f, 1);
    int64_t first = sample_below(column, middle - half), last = sample_below(column, middle + half);
    for (int64_t i = first; i < column->tissue->samples; i++) {
        double passed = sample_depth(column, i) - middle + half;
        if (i < last)
            column->level[i] +=
                share * (float)(gray_to_db(gray) - fade * passed - column->level[i]);
        else
            column->level[i] -= (float)fmin(absorption * 2 * half, most);
    }
}

/* What the whole A-scan is brighter or darker by; stripes begin under the nerve fibres. */
static void add_gain(struct column *column)
{
    const double gain = 0.8, flicker = 0.5, stripes = 0.7; /* dB */
    const double roll_off = 1.5;                           /* dB/mm */
    const struct lattice *field = column->tissue->field;
    float smooth, slice, stripe;
    lattice_column(&field[FIELD_GAIN], column->y, column->x, &smooth);
    lattice_column(&field[FIELD_FLICKER], column->y, 0, &slice);
    lattice_column(&field[FIELD_STRIPES], column->y, column->x, &stripe);
    double offset = column->tissue->eye->gain + gain * smooth + flicker * slice;
    int64_t first = sample_below(column, column->top[SLAB_NFL]);
    int64_t nerve = sample_below(column, column->top[SLAB_GCL]);
    for (int64_t i = first; i < column->tissue->samples; i++) {
        double db = offset - roll_off * (sample_depth(column, i) - 1);
        column->level[i] += (float)(i < nerve ? db : db + stripes * stripe);
    }
}

void tissue_column(const struct tissue *tissue, double y, double x, const float *top, float radius,
                   float half, float *scratch, float *power, int64_t stride)
{
    const float octaves_per_db = 0.33219281f; /* log2(10)/10 */
    struct column column = {.tissue = tissue, .top = top, .y = y, .x = x};
    column.level = scratch + TISSUE_REACH;
    column.knot = column.level + tissue->samples + TISSUE_REACH;
    paint_zones(&column);
    add_texture(&column);
    add_choroid(&column);
    add_fluid(&column);
    if (half > 0)
        add_vessel(&column, radius, half);
    add_gain(&column);

    int64_t samples = tissue->samples, first = sample_below(&column, top[SLAB_NFL]);
    for (int64_t i = -TISSUE_REACH; i < first; i++)
        column.level[i] = 0;
    for (int64_t i = first; i < samples; i++)
        column.level[i] = exp2f(octaves_per_db * column.level[i]);
    for (int64_t i = samples; i < samples + TISSUE_REACH; i++)
        column.level[i] = 0;
    for (int64_t h = 0; h < tissue->scan->extent[1]; h++) {
        const float *from = scratch + h * tissue->per_voxel;
        float sum = 0;
        for (int64_t k = 0; k < tissue->per_voxel + 2 * TISSUE_REACH; k++)
            sum += tissue->weight[k] * from[k];
        power[h * stride] = sum;
    }
}
