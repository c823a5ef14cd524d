#include "lib/phantom/vessels.h"

#include "lib/phantom/draw.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_NODES = 1 << 15, MOST_POINTS = 1 << 12, MOST_ROUNDS = 400 };
static const double step = 0.04;                      /* mm, of growth */
static const double reached = 0.11;                   /* mm: a point so near a vessel has blood */
static const double capillary = 0.0055, murray = 2.4; /* radius of the thinnest, mm; exponent */

struct growth {
    struct vessels *vessels;
    const struct eye *eye;
    struct draw draw;
    uint8_t label;
    double reach;   /* half of the square that vessels grow in */
    int32_t first;  /* node of these trees */
    int32_t most;   /* nodes when they are grown */
    int32_t end[2]; /* of the trunks */
    int32_t points;
};

static int32_t add_node(struct growth *growth, double y, double x, int32_t parent)
{
    struct vessels *vessels = growth->vessels;
    if (vessels->count == growth->most)
        return -1;
    vessels->node[vessels->count] = (struct vessel_node){
        .y = (float)y, .x = (float)x, .parent = parent, .label = growth->label};
    return vessels->count++;
}

/* An arcade: from the disc around the macula, above (up = 1) or below it (−1). In the frame of the
 * fovea with x towards the disc it is a part of an ellipse, with some waviness. */
static int32_t add_trunk(struct growth *growth, double up)
{
    const struct eye *eye = growth->eye;
    struct draw *draw = &growth->draw;
    double semi_x = draw_normal(draw, 3.9, 0.15), semi_y = draw_normal(draw, 2.45, 0.2);
    double end = draw_uniform(draw, 2.0, 2.7);
    double wave = draw_uniform(draw, 0, 6), waves = draw_uniform(draw, 4, 7);
    double ripple = draw_uniform(draw, 0, 6), ripples = draw_uniform(draw, 11, 17);
    int32_t parent = -1;
    for (double angle = 0.04; angle < end; angle += step / 3) {
        double stretch = 1 + sin(angle) * (0.045 * sin(wave + waves * angle) +
                                           0.018 * sin(ripple + ripples * angle));
        double x = 0.6 + semi_x * cos(angle) * stretch, y = up * semi_y * sin(angle) * stretch;
        parent = add_node(growth, eye->fovea_y + y, eye->fovea_x + eye->side * x, parent);
    }
    return parent;
}

/* Points on a jittered grid with cells of `cell` mm, but for the avascular zone. */
static void scatter_points(struct growth *growth, double cell)
{
    const struct eye *eye = growth->eye;
    growth->points = 0;
    for (double y = -growth->reach; y < growth->reach; y += cell)
        for (double x = -growth->reach; x < growth->reach; x += cell) {
            double at_y = y + cell * draw_uniform(&growth->draw, 0, 1);
            double at_x = x + cell * draw_uniform(&growth->draw, 0, 1);
            double away = hypot(at_y - eye->fovea_y, at_x - eye->fovea_x);
            if (away > eye->avascular && growth->points < MOST_POINTS)
                growth->vessels->point[growth->points++] =
                    (struct vessel_point){.y = at_y, .x = at_x, .distance2 = INFINITY};
        }
}

/* Points around the avascular zone, for branches that run to the fovea. */
static void ring_points(struct growth *growth, int count)
{
    double turn = draw_uniform(&growth->draw, 0, 2 * M_PI);
    for (int i = 0; i < count; i++) {
        double angle = turn + 2 * M_PI * (i + draw_uniform(&growth->draw, -0.3, 0.3)) / count;
        double away = growth->eye->avascular * draw_uniform(&growth->draw, 1.2, 2);
        growth->vessels->point[growth->points++] = (struct vessel_point){
            .y = growth->eye->fovea_y + away * sin(angle),
            .x = growth->eye->fovea_x + away * cos(angle),
            .distance2 = INFINITY,
        };
    }
}

/* Let the points know of nodes from `first` on, and drop those that are reached. */
static void meet_points(struct growth *growth, int32_t first)
{
    const struct vessel_node *node = growth->vessels->node;
    int32_t left = 0;
    for (int32_t i = 0; i < growth->points; i++) {
        struct vessel_point point = growth->vessels->point[i];
        for (int32_t n = first; n < growth->vessels->count; n++) {
            double y = point.y - node[n].y, x = point.x - node[n].x, distance2 = y * y + x * x;
            if (distance2 < point.distance2) {
                point.distance2 = distance2;
                point.nearest = n;
            }
        }
        if (point.distance2 > reached * reached)
            growth->vessels->point[left++] = point;
    }
    growth->points = left;
}

/* A step from a node: towards its points, bent from the course of its vessel. */
static void grow_step(struct growth *growth, int32_t n)
{
    const double persistence = 1.5, jitter = 0.5;
    const struct eye *eye = growth->eye;
    const struct vessel_node *node = &growth->vessels->node[n];
    double length = hypot(growth->vessels->pull_y[n], growth->vessels->pull_x[n]);
    double y = growth->vessels->pull_y[n] / length, x = growth->vessels->pull_x[n] / length;
    if (node->parent >= 0) {
        const struct vessel_node *parent = &growth->vessels->node[node->parent];
        double before_y = node->y - parent->y, before_x = node->x - parent->x;
        double before = hypot(before_y, before_x);
        y += persistence * before_y / before;
        x += persistence * before_x / before;
    }
    y += jitter * draw_uniform(&growth->draw, -1, 1);
    x += jitter * draw_uniform(&growth->draw, -1, 1);
    length = step / hypot(y, x);
    y = node->y + length * y;
    x = node->x + length * x;
    if (hypot(y - eye->fovea_y, x - eye->fovea_x) > eye->avascular)
        add_node(growth, y, x, n);
}

/* One round: every node that points are nearest to grows a step towards them. */
static void grow_round(struct growth *growth)
{
    const struct vessel_node *node = growth->vessels->node;
    int32_t before = growth->vessels->count;
    for (int32_t n = growth->first; n < before; n++)
        growth->vessels->pull_y[n] = growth->vessels->pull_x[n] = 0;
    for (int32_t i = 0; i < growth->points; i++) {
        const struct vessel_point *point = &growth->vessels->point[i];
        double weight = 1 / point->distance2; /* the pull is 1/distance */
        growth->vessels->pull_y[point->nearest] += weight * (point->y - node[point->nearest].y);
        growth->vessels->pull_x[point->nearest] += weight * (point->x - node[point->nearest].x);
    }
    for (int32_t n = growth->first; n < before; n++)
        if (growth->vessels->pull_y[n] != 0 || growth->vessels->pull_x[n] != 0)
            grow_step(growth, n);
}

/* Nodes move towards the middle of their neighbours, parents first. */
static void smooth(const struct growth *growth)
{
    struct vessel_node *node = growth->vessels->node;
    for (int round = 0; round < 3; round++)
        for (int32_t n = growth->vessels->count - 1; n >= growth->first; n--) {
            int32_t parent = node[n].parent;
            if (parent < 0 || node[parent].parent < 0)
                continue;
            int32_t before = node[parent].parent;
            node[parent].y += 0.25f * (node[n].y + node[before].y - 2 * node[parent].y);
            node[parent].x += 0.25f * (node[n].x + node[before].x - 2 * node[parent].x);
        }
}

/* Murray's law from the ends to the trunks. An arcade goes on beyond its last node. */
static void set_radii(struct growth *growth)
{
    const double beyond = 0.024; /* mm */
    struct vessel_node *node = growth->vessels->node;
    double *flow = growth->vessels->pull_y, scale = growth->label == VESSEL_VEIN ? 1.2 : 1;
    for (int32_t n = growth->first; n < growth->vessels->count; n++)
        flow[n] = 0;
    flow[growth->end[0]] = flow[growth->end[1]] = pow(beyond, murray);
    for (int32_t n = growth->vessels->count - 1; n >= growth->first; n--) {
        if (flow[n] == 0)
            flow[n] = pow(capillary, murray);
        node[n].radius = (float)(scale * pow(flow[n], 1 / murray));
        if (node[n].parent >= 0)
            flow[node[n].parent] += flow[n];
    }
}

static void grow_trees(struct growth *growth, uint8_t label, enum draw_purpose purpose)
{
    const struct eye *eye = growth->eye;
    struct random_key key = draw_key(eye->seed, eye->index, purpose, 0);
    /* Few points first, then more: large branches before small ones. */
    static const double cells[] = {1.3, 0.65, 0.4};
    draw_start(&growth->draw, &key);
    growth->label = label;
    growth->first = growth->vessels->count;
    growth->most = growth->first + MOST_NODES / 2;
    growth->end[0] = add_trunk(growth, 1);
    growth->end[1] = add_trunk(growth, -1);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        scatter_points(growth, cells[i]);
        if (i == 1)
            ring_points(growth, 9);
        int32_t first = growth->first;
        for (int round = 0; round < MOST_ROUNDS && first < growth->vessels->count; round++) {
            meet_points(growth, first);
            first = growth->vessels->count;
            grow_round(growth);
        }
    }
    smooth(growth);
    set_radii(growth);
}

int vessels_plan(struct vessels *vessels, struct error *error)
{
    *vessels = (struct vessels){
        .node = malloc(MOST_NODES * sizeof *vessels->node),
        .point = malloc(MOST_POINTS * sizeof *vessels->point),
        .pull_y = malloc(MOST_NODES * sizeof *vessels->pull_y),
        .pull_x = malloc(MOST_NODES * sizeof *vessels->pull_x),
    };
    bool complete = vessels->node && vessels->point && vessels->pull_y && vessels->pull_x;
    return complete ? 0 : error_set(error, "out of memory");
}

int64_t vessels_bytes(void)
{
    return MOST_NODES * (int64_t)(sizeof(struct vessel_node) + 2 * sizeof(double)) +
           MOST_POINTS * (int64_t)sizeof(struct vessel_point);
}

void vessels_free(struct vessels *vessels)
{
    free(vessels->node);
    free(vessels->point);
    free(vessels->pull_y);
    free(vessels->pull_x);
    *vessels = (struct vessels){0};
}

void vessels_grow(struct vessels *vessels, const struct eye *eye, double extent)
{
    struct growth growth = {.vessels = vessels, .eye = eye, .reach = 0.5 * extent + reached};
    vessels->count = 0;
    grow_trees(&growth, VESSEL_ARTERY, DRAW_ARTERIES);
    grow_trees(&growth, VESSEL_VEIN, DRAW_VEINS);
}
