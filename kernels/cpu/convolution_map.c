#include "kernels/cpu/convolution_map.h"
#include "kernels/cpu/convolution.h"

#include <stdlib.h>

static int64_t extent_of(struct shape s, int axis)
{
    return axis == AXIS_D ? s.d : axis == AXIS_H ? s.h : s.w;
}

static void find_viewers(struct convolution_axis *a, int64_t k)
{
    struct convolution_viewers *v = a->viewers + k * a->in;
    for (int64_t o = 0; o < a->out; o++) {
        int64_t i = a->source[k * a->out + o];
        if (i < 0)
            continue;
        if (v[i].count == 0)
            v[i].first = (int32_t)o;
        v[i].count++;
    }
    for (int64_t i = a->in - 1; i >= 0; i--) {
        int64_t next = i + a->phases;
        bool goes_on = next < a->in && v[next].count == 1 && v[next].first == v[i].first + 1;
        if (v[i].count == 1)
            v[i].run = goes_on ? v[next].run + 1 : 1;
    }
}

int convolution_map_create(struct convolution_map *map, const struct operation *forward)
{
    const struct convolution *c = &forward->convolution;
    *map = (struct convolution_map){0};
    for (int axis = 0; axis < AXES; axis++) {
        struct convolution_axis *a = &map->axis[axis];
        a->in = extent_of(forward->input[0].shape, axis);
        a->out = extent_of(forward->output.shape, axis);
        a->kernel = c->kernel[axis];
        a->step = c->transposed ? c->stride[axis] : 1;
        a->phases = c->transposed ? 1 : c->stride[axis];
        a->source = malloc((size_t)(a->kernel * a->out) * sizeof *a->source);
        a->viewers = calloc((size_t)(a->kernel * a->in), sizeof *a->viewers);
        if (!a->source || !a->viewers) {
            convolution_map_destroy(map);
            return -1;
        }
        for (int64_t k = 0; k < a->kernel; k++) {
            for (int64_t o = 0; o < a->out; o++)
                a->source[k * a->out + o] = (int32_t)convolution_source(c, axis, o, k, a->in);
            find_viewers(a, k);
        }
    }
    return 0;
}

void convolution_map_destroy(struct convolution_map *map)
{
    for (int axis = 0; axis < AXES; axis++) {
        free(map->axis[axis].source);
        free(map->axis[axis].viewers);
    }
    *map = (struct convolution_map){0};
}
