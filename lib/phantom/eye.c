#include "lib/phantom/eye.h"

#include "lib/phantom/draw.h"

double scan_y(const struct scan *scan, int64_t d)
{
    return ((double)d + 0.5) * scan->spacing[0] - 0.5 * scan->field[0];
}

double scan_x(const struct scan *scan, int64_t w)
{
    return ((double)w + 0.5) * scan->spacing[2] - 0.5 * scan->field[2];
}

void eye_draw(struct eye *eye, uint64_t seed, int64_t index, double fluid_share)
{
    struct draw draw;
    struct random_key key = draw_key(seed, index, DRAW_EYE, 0);
    draw_start(&draw, &key);
    *eye = (struct eye){.seed = seed, .index = index};
    eye->side = draw_uniform(&draw, -1, 1) < 0 ? -1 : 1;
    eye->fovea_y = draw_normal(&draw, 0, 0.15);
    eye->fovea_x = draw_normal(&draw, 0, 0.2);
    eye->avascular = draw_normal(&draw, 0.32, 0.05);
    eye->pit = draw_normal(&draw, 0.42, 0.05);
    eye->depth = draw_normal(&draw, 1.1, 0.1);
    eye->tilt_y = draw_normal(&draw, 0, 0.02);
    eye->tilt_x = draw_normal(&draw, 0, 0.035);
    eye->bend = draw_normal(&draw, 0.010, 0.006);
    for (int slab = 0; slab < SLABS; slab++) {
        eye->thickness[slab] = draw_normal(&draw, 1, slab == SLAB_CHOROID ? 0.25 : 0.07);
        eye->level[slab] = draw_normal(&draw, 0, 0.6);
    }
    eye->gain = draw_normal(&draw, 0, 1.1);
    eye->noise = draw_uniform(&draw, 25, 38);
    eye->noise_spread = draw_uniform(&draw, 0.75, 0.95);
    eye->looks = draw_uniform(&draw, 5, 8);
    eye->fluid = draw_uniform(&draw, 0, 1) < fluid_share;
}
