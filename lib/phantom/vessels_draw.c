#include "lib/phantom/vessels.h"

#include <math.h>
#include <string.h>

struct canvas {
    const struct scan *scan;
    uint8_t *label;
    float *radius, *half;
};

/* How far apart two positions are beyond the half of an A-scan that a thin vessel must fill. */
static double beyond_pixel(double distance, double spacing, double radius)
{
    return fmax(0, fabs(distance) - fmax(0, 0.5 * spacing - radius));
}

/* The vessel from a to b at one A-scan. */
static void draw_pixel(const struct canvas *canvas, const struct vessel_node *a,
                       const struct vessel_node *b, int64_t d, int64_t w)
{
    const struct scan *scan = canvas->scan;
    double y = scan_y(scan, d) - a->y, x = scan_x(scan, w) - a->x;
    double along_y = b->y - a->y, along_x = b->x - a->x;
    double length2 = along_y * along_y + along_x * along_x;
    double t = length2 > 0 ? fmin(fmax((y * along_y + x * along_x) / length2, 0), 1) : 0;
    double radius = b->radius; /* a fork does not widen the branch */
    double off_y = beyond_pixel(y - t * along_y, scan->spacing[0], radius);
    double off_x = beyond_pixel(x - t * along_x, scan->spacing[2], radius);
    double half2 = radius * radius - off_y * off_y - off_x * off_x;
    int64_t at = d * scan->extent[2] + w;
    if (half2 > 0 && sqrt(half2) > canvas->half[at]) {
        canvas->half[at] = (float)sqrt(half2);
        canvas->radius[at] = (float)radius;
        canvas->label[at] = b->label;
    }
}

/* The voxels from low to high mm along an axis. */
static void find_range(double low, double high, double spacing, double field, int64_t extent,
                       int64_t range[2])
{
    range[0] = (int64_t)fmax(floor((low + 0.5 * field) / spacing - 1), 0);
    range[1] = (int64_t)fmin(ceil((high + 0.5 * field) / spacing + 1), (double)extent);
}

static void draw_segment(const struct canvas *canvas, const struct vessel_node *a,
                         const struct vessel_node *b)
{
    const struct scan *scan = canvas->scan;
    int64_t rows[2], columns[2];
    double radius = b->radius;
    find_range(fminf(a->y, b->y) - radius, fmaxf(a->y, b->y) + radius, scan->spacing[0],
               scan->field[0], scan->extent[0], rows);
    find_range(fminf(a->x, b->x) - radius, fmaxf(a->x, b->x) + radius, scan->spacing[2],
               scan->field[2], scan->extent[2], columns);
    for (int64_t d = rows[0]; d < rows[1]; d++)
        for (int64_t w = columns[0]; w < columns[1]; w++)
            draw_pixel(canvas, a, b, d, w);
}

void vessels_draw(const struct vessels *vessels, const struct scan *scan, uint8_t *label,
                  float *radius, float *half)
{
    struct canvas canvas = {scan, label, radius, half};
    size_t columns = (size_t)(scan->extent[0] * scan->extent[2]);
    memset(label, 0, columns);
    memset(radius, 0, columns * sizeof *radius);
    memset(half, 0, columns * sizeof *half);
    for (int32_t n = 0; n < vessels->count; n++)
        if (vessels->node[n].parent >= 0)
            draw_segment(&canvas, &vessels->node[vessels->node[n].parent], &vessels->node[n]);
}
