#include "lib/phantom/speckle.h"

#include "lib/phantom/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Standard deviations of the point spread along D, H and W, in mm. */
static const double spread[3] = {0.0095, 0.0045, 0.0095};
static const double noise_spread[3] = {0, 0.0030, 0.0072};

static int64_t blur_reach(double deviation, double spacing)
{
    return (int64_t)ceil(2.5 * deviation / spacing - 0.5);
}

static int make_blur(struct blur *blur, double deviation, double spacing, struct error *error)
{
    blur->reach = blur_reach(deviation, spacing);
    blur->tap = malloc((size_t)(2 * blur->reach + 1) * sizeof *blur->tap);
    if (!blur->tap)
        return error_set(error, "out of memory");
    double energy = 0;
    for (int round = 0; round < 2; round++)
        for (int64_t i = -blur->reach; i <= blur->reach; i++) {
            double at = (double)i * spacing / deviation, tap = i ? exp(-0.5 * at * at) : 1;
            if (round == 0)
                energy += tap * tap;
            else
                blur->tap[i + blur->reach] = (float)(tap / sqrt(energy));
        }
    return 0;
}

static int64_t slice_count(const struct scan *scan)
{
    return scan->extent[1] * scan->extent[2];
}

/* Floats of a padded row, for either field. */
static int64_t row_count(const struct scan *scan)
{
    double widest = fmax(spread[2], noise_spread[2]);
    return scan->extent[2] + 2 * blur_reach(widest, scan->spacing[2]);
}

int64_t speckle_bytes(const struct scan *scan, int64_t batch)
{
    int64_t slices = 4 * batch + 2 * blur_reach(spread[0], scan->spacing[0]);
    return (slices * slice_count(scan) + batch * row_count(scan)) * (int64_t)sizeof(float);
}

int speckle_plan(struct speckle *speckle, const struct scan *scan, int64_t batch,
                 struct error *error)
{
    *speckle = (struct speckle){.scan = scan, .batch = batch};
    for (int axis = 0; axis < 3; axis++)
        if (make_blur(&speckle->blur[axis], spread[axis], scan->spacing[axis], error))
            return -1;
    for (int axis = 1; axis < 3; axis++)
        if (make_blur(&speckle->noise_blur[axis - 1], noise_spread[axis], scan->spacing[axis],
                      error))
            return -1;
    size_t slice = (size_t)slice_count(scan) * sizeof(float);
    size_t row = (size_t)row_count(scan) * sizeof(float);
    speckle->ring = malloc((size_t)(batch + 2 * speckle->blur[0].reach) * slice);
    speckle->scratch = malloc((size_t)batch * (3 * slice + row));
    return speckle->ring && speckle->scratch ? 0 : error_set(error, "out of memory");
}

void speckle_free(struct speckle *speckle)
{
    for (int axis = 0; axis < 3; axis++)
        free(speckle->blur[axis].tap);
    for (int axis = 0; axis < 2; axis++)
        free(speckle->noise_blur[axis].tap);
    free(speckle->ring);
    free(speckle->scratch);
    *speckle = (struct speckle){0};
}

void speckle_start(struct speckle *speckle, const struct eye *eye)
{
    speckle->eye = eye;
    speckle->known = -speckle->blur[0].reach;
}

static int64_t wrap(int64_t index, int64_t extent)
{
    return (index % extent + extent) % extent;
}

/* sum += tap*from over a row. */
static void add_row(float tap, const float *restrict from, float *restrict sum, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        sum[i] += tap * from[i];
}

/* White noise under a key, blurred along W and H into `out`; scratch holds a slice and a row. */
static void make_field(const struct scan *scan, const struct blur *along_h,
                       const struct blur *along_w, const struct random_key *key, float *scratch,
                       float *out)
{
    int64_t rows = scan->extent[1], columns = scan->extent[2];
    float *between = scratch, *padded = scratch + rows * columns;
    random_normal(key, out, rows * columns);
    memset(between, 0, (size_t)(rows * columns) * sizeof *between);
    for (int64_t h = 0; h < rows; h++) {
        for (int64_t w = -along_w->reach; w < columns + along_w->reach; w++)
            padded[w + along_w->reach] = out[h * columns + wrap(w, columns)];
        for (int64_t i = 0; i <= 2 * along_w->reach; i++)
            add_row(along_w->tap[i], padded + i, between + h * columns, columns);
    }
    memset(out, 0, (size_t)(rows * columns) * sizeof *out);
    for (int64_t h = 0; h < rows; h++)
        for (int64_t i = 0; i <= 2 * along_h->reach; i++)
            add_row(along_h->tap[i], between + wrap(h + i - along_h->reach, rows) * columns,
                    out + h * columns, columns);
}

static float *ring_slice(const struct speckle *speckle, int64_t d)
{
    int64_t reach = speckle->blur[0].reach;
    int64_t slot = (d + reach) % (speckle->batch + 2 * reach);
    return speckle->ring + slot * slice_count(speckle->scan);
}

static float *slot_scratch(const struct speckle *speckle, int64_t slot)
{
    return speckle->scratch + slot * (3 * slice_count(speckle->scan) + row_count(speckle->scan));
}

void speckle_advance(struct speckle *speckle, int64_t d, int64_t count)
{
    const struct scan *scan = speckle->scan;
    const struct eye *eye = speckle->eye;
    int64_t needed = d + count + speckle->blur[0].reach;
    while (speckle->known < needed) {
        int64_t left = needed - speckle->known;
        int64_t made = left < speckle->batch ? left : speckle->batch;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < made; i++) {
            int64_t slice = speckle->known + i;
            struct random_key key =
                draw_key(eye->seed, eye->index, DRAW_SPECKLE, wrap(slice, scan->extent[0]));
            make_field(scan, &speckle->blur[1], &speckle->blur[2], &key, slot_scratch(speckle, i),
                       ring_slice(speckle, slice));
        }
        speckle->known += made;
    }
}

static uint8_t gray_of(float power)
{
    return (uint8_t)(fminf(255 * sqrtf(sqrtf(fmaxf(power, 0))), 255) + 0.5f);
}

/* The scanner's sensitivity falls with depth, a fraction of the scan's, and so does its noise. */
static float noise_power(const struct eye *eye, double depth)
{
    const double fall = 0.55;
    return (float)pow(eye->noise * (1 - fall * depth) / 255, 4);
}

void speckle_detect(const struct speckle *speckle, int64_t d, int64_t slot, const float *power,
                    uint8_t *gray)
{
    const struct scan *scan = speckle->scan;
    const struct eye *eye = speckle->eye;
    int64_t count = slice_count(scan), reach = speckle->blur[0].reach;
    float *field = slot_scratch(speckle, slot), *noise = field + count;
    struct random_key key = draw_key(eye->seed, eye->index, DRAW_NOISE, d);
    make_field(scan, &speckle->noise_blur[0], &speckle->noise_blur[1], &key, noise + count, noise);
    memset(field, 0, (size_t)count * sizeof *field);
    for (int64_t i = 0; i <= 2 * reach; i++)
        add_row(speckle->blur[0].tap[i], ring_slice(speckle, d + i - reach), field, count);

    float mean = (float)(1 - 1 / (9 * eye->looks)), slope = (float)(1 / (3 * sqrt(eye->looks)));
    for (int64_t i = 0; i < count; i++) {
        float root = fmaxf(mean + slope * field[i], 0);
        float amplitude = 1 + (float)eye->noise_spread * noise[i];
        field[i] = power[i] * root * root * root;
        noise[i] = amplitude * fabsf(amplitude);
    }
    int64_t columns = scan->extent[2];
    for (int64_t h = 0; h < scan->extent[1]; h++) {
        float floor_power = noise_power(eye, (double)h / (double)scan->extent[1]);
        for (int64_t i = h * columns; i < (h + 1) * columns; i++)
            gray[i] = gray_of(field[i] + floor_power * noise[i]);
    }
}

void speckle_compress(const float *power, uint8_t *gray, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        gray[i] = gray_of(power[i]);
}
