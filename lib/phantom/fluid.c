#include "lib/phantom/fluid.h"

#include "lib/phantom/draw.h"

#include <math.h>

static void draw_pocket(struct fluid *fluid, struct fluid_pocket *pocket, struct draw *draw)
{
    const double healthy = 0.035, share = 0.42; /* mm; half a pocket in a layer's thickness */
    double away = fluid->radius * draw_uniform(draw, 0, 1.4);
    double angle = draw_uniform(draw, 0, 2 * M_PI);
    pocket->slab = draw_uniform(draw, 0, 1) < 0.6 ? SLAB_INL : SLAB_ONL;
    pocket->y = fluid->y + away * sin(angle);
    pocket->x = fluid->x + away * cos(angle);
    double room = healthy + fluid_swelling(fluid, pocket->slab, pocket->y, pocket->x);
    pocket->height = room * share * draw_uniform(draw, 0.5, 1);
    pocket->radius_y = draw_uniform(draw, 1.2, 3) * (0.02 + pocket->height);
    pocket->radius_x = draw_uniform(draw, 1.2, 3) * (0.02 + pocket->height);
}

void fluid_draw(struct fluid *fluid, const struct eye *eye)
{
    *fluid = (struct fluid){.y = eye->fovea_y, .x = eye->fovea_x, .radius = 1};
    if (!eye->fluid)
        return;
    struct draw draw;
    struct random_key key = draw_key(eye->seed, eye->index, DRAW_FLUID, 0);
    draw_start(&draw, &key);
    fluid->y += draw_normal(&draw, 0, 0.25);
    fluid->x += draw_normal(&draw, 0, 0.25);
    fluid->radius = draw_uniform(&draw, 0.5, 1.0);
    fluid->swelling[SLAB_INL] = draw_uniform(&draw, 0.04, 0.14);
    fluid->swelling[SLAB_ONL] = draw_uniform(&draw, 0.04, 0.14);
    fluid->count = (int)draw_uniform(&draw, 40, FLUID_POCKETS + 1);
    for (int i = 0; i < fluid->count; i++)
        draw_pocket(fluid, &fluid->pocket[i], &draw);
}

double fluid_swelling(const struct fluid *fluid, enum slab slab, double y, double x)
{
    double v = (y - fluid->y) / fluid->radius, u = (x - fluid->x) / fluid->radius;
    return fluid->swelling[slab] * exp(-0.5 * (v * v + u * u));
}

double fluid_half_chord(const struct fluid_pocket *pocket, double y, double x)
{
    double v = (y - pocket->y) / pocket->radius_y, u = (x - pocket->x) / pocket->radius_x;
    return pocket->height * sqrt(fmax(0, 1 - v * v - u * u));
}
