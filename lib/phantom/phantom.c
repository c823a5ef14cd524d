#include "lib/phantom/phantom.h"

#include <omp.h>
#include <stdlib.h>

/* Bytes of all, with what the filter holds: a surface, and a batch of gray and clean slices. */
static int64_t total_bytes(const struct phantom *phantom, int64_t batch)
{
    const struct scan *scan = &phantom->scan;
    int64_t columns = scan->extent[0] * scan->extent[2];
    int64_t slice = scan->extent[1] * scan->extent[2];
    int64_t floats = columns * (TOPS + 3) + batch * (slice + tissue_scratch(&phantom->tissue));
    return floats * (int64_t)sizeof(float) + columns + 2 * batch * slice +
           surfaces_bytes(&phantom->surfaces) + vessels_bytes() + tissue_bytes(&phantom->tissue) +
           speckle_bytes(scan, batch);
}

static int choose_batch(struct phantom *phantom, int64_t memory, struct error *error)
{
    int64_t batch = 2 * (int64_t)omp_get_max_threads(), slices = phantom->scan.extent[0];
    batch = batch < slices ? batch : slices;
    while (memory && batch > 1 && total_bytes(phantom, batch) > memory)
        batch--;
    phantom->batch = batch;
    phantom->bytes = total_bytes(phantom, batch);
    if (memory && phantom->bytes > memory)
        return error_set(error, "needs %lld bytes, beyond --memory", (long long)phantom->bytes);
    return 0;
}

/* Maps of the whole field, and the batch. */
static int allocate(struct phantom *phantom, struct error *error)
{
    const int64_t *extent = phantom->scan.extent;
    size_t columns = (size_t)(extent[0] * extent[2]), slice = (size_t)(extent[1] * extent[2]);
    size_t batch = (size_t)phantom->batch, scratch = (size_t)tissue_scratch(&phantom->tissue);
    phantom->top = malloc(columns * TOPS * sizeof *phantom->top);
    phantom->label = malloc(columns);
    phantom->radius = malloc(columns * sizeof *phantom->radius);
    phantom->half = malloc(columns * sizeof *phantom->half);
    phantom->power = malloc(batch * slice * sizeof *phantom->power);
    phantom->column_scratch = malloc(batch * scratch * sizeof *phantom->column_scratch);
    if (!phantom->top || !phantom->label || !phantom->radius || !phantom->half || !phantom->power ||
        !phantom->column_scratch)
        return error_set(error, "out of memory");
    return 0;
}

static double field_square(const struct scan *scan)
{
    return scan->field[0] > scan->field[2] ? scan->field[0] : scan->field[2];
}

int phantom_plan(struct phantom *phantom, const int64_t extent[3], const double field[3],
                 int64_t memory, struct error *error)
{
    *phantom = (struct phantom){0};
    struct scan *scan = &phantom->scan;
    for (int axis = 0; axis < 3; axis++) {
        scan->extent[axis] = extent[axis];
        scan->field[axis] = field[axis];
        scan->spacing[axis] = field[axis] / (double)extent[axis];
    }
    if (surfaces_plan(&phantom->surfaces, field_square(scan), error) ||
        vessels_plan(&phantom->vessels, error) || tissue_plan(&phantom->tissue, scan, error) ||
        choose_batch(phantom, memory, error) ||
        speckle_plan(&phantom->speckle, scan, phantom->batch, error))
        return -1;
    return allocate(phantom, error);
}

void phantom_free(struct phantom *phantom)
{
    surfaces_free(&phantom->surfaces);
    vessels_free(&phantom->vessels);
    tissue_free(&phantom->tissue);
    speckle_free(&phantom->speckle);
    free(phantom->top);
    free(phantom->label);
    free(phantom->radius);
    free(phantom->half);
    free(phantom->power);
    free(phantom->column_scratch);
    *phantom = (struct phantom){0};
}

void phantom_begin(struct phantom *phantom, uint64_t seed, int64_t index, double fluid_share)
{
    const struct scan *scan = &phantom->scan;
    eye_draw(&phantom->eye, seed, index, fluid_share);
    fluid_draw(&phantom->fluid, &phantom->eye);
    surfaces_make(&phantom->surfaces, &phantom->eye, &phantom->fluid, scan, phantom->top);
    vessels_grow(&phantom->vessels, &phantom->eye, field_square(scan));
    vessels_draw(&phantom->vessels, scan, phantom->label, phantom->radius, phantom->half);
    tissue_set(&phantom->tissue, &phantom->eye, &phantom->fluid);
    speckle_start(&phantom->speckle, &phantom->eye);
}

/* One slice; `slot` is its place in the batch. */
static void scan_slice(const struct phantom *phantom, int64_t d, int64_t slot, uint8_t *gray,
                       uint8_t *clean)
{
    const struct scan *scan = &phantom->scan;
    int64_t columns = scan->extent[2], slice = scan->extent[1] * columns;
    float *power = phantom->power + slot * slice;
    float *scratch = phantom->column_scratch + slot * tissue_scratch(&phantom->tissue);
    for (int64_t w = 0; w < columns; w++) {
        int64_t at = d * columns + w;
        tissue_column(&phantom->tissue, scan_y(scan, d), scan_x(scan, w), phantom->top + at * TOPS,
                      phantom->radius[at], phantom->half[at], scratch, power + w, columns);
    }
    speckle_detect(&phantom->speckle, d, slot, power, gray);
    if (clean)
        speckle_compress(power, clean, slice);
}

void phantom_slices(struct phantom *phantom, int64_t d, int64_t count, uint8_t *gray,
                    uint8_t *clean)
{
    int64_t slice = phantom->scan.extent[1] * phantom->scan.extent[2];
    speckle_advance(&phantom->speckle, d, count);
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < count; i++)
        scan_slice(phantom, d + i, i, gray + i * slice, clean ? clean + i * slice : NULL);
}
