#include "lib/metrics/measure.h"

#include "lib/metrics/neighbours.h"
#include "lib/metrics/overlap.h"
#include "lib/metrics/similarity.h"
#include "lib/metrics/surfaces.h"
#include "lib/metrics/total_variation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const measure_names[MEASURES + 1] = {
    "tv", "dice", "iou", "mad", "psnr", "ssim", "slice-difference", "projection-difference", NULL};

struct measure {
    enum measure_kind kind;
    bool background;
    int64_t slices, slice_count;
    struct intensity a, b;
    struct total_variation tv;
    struct neighbours neighbours;
    struct overlap overlap;
    struct ssim ssim;
    double sum; /* of squared errors, or of the slices' SSIM */
    struct measurement result;
};

int measure_operands(enum measure_kind kind)
{
    bool one = kind == MEASURE_TV || kind == MEASURE_SLICE_DIFFERENCE ||
               kind == MEASURE_PROJECTION_DIFFERENCE;
    return one ? 1 : 2;
}

void measurement_free(struct measurement *measurement)
{
    free(measurement->part);
    measurement->part = NULL;
}

/* What each measure takes, by kind; bare arrays by type and rank alone. */
static const struct {
    const char *kind, *expected;
    bool bytes, reals;
} operand[MEASURES] = {
    [MEASURE_TV] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
    [MEASURE_DICE] = {"labels", "labels (D,H,W) of u1", true, false},
    [MEASURE_IOU] = {"labels", "labels (D,H,W) of u1", true, false},
    [MEASURE_MAD] = {"surfaces", "surfaces (S,D,W) of f4", false, true},
    [MEASURE_PSNR] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
    [MEASURE_SSIM] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
    [MEASURE_SLICE_DIFFERENCE] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
    [MEASURE_PROJECTION_DIFFERENCE] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
};

static int check_operand(enum measure_kind kind, const struct array *array, struct error *error)
{
    char text[128];
    enum dtype dtype = array->dtype;
    bool real = dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_F64;
    bool known = !array->kind[0] || strcmp(array->kind, operand[kind].kind) == 0;
    if (array->rank == 3 && known &&
        ((dtype == DTYPE_U8 && operand[kind].bytes) || (real && operand[kind].reals)))
        return 0;
    return error_set(error, "%s measures %s, not %s %s", measure_names[kind],
                     operand[kind].expected, array->kind[0] ? array->kind : "an array",
                     array_describe(array, text, sizeof text));
}

static int check(enum measure_kind kind, const struct array *a, const struct array *b,
                 struct error *error)
{
    char text[128], other[128];
    if (check_operand(kind, a, error) < 0 || (b && check_operand(kind, b, error) < 0))
        return -1;
    if (b && memcmp(a->shape, b->shape, 3 * sizeof *a->shape) != 0)
        return error_set(error, "shapes differ: %s and %s", array_describe(a, text, sizeof text),
                         array_describe(b, other, sizeof other));
    return 0;
}

static int begin(struct measure *measure, const struct array *a, struct error *error)
{
    int64_t parts = measure->kind == MEASURE_MAD ? array_slices(a) : OVERLAP_CLASSES;
    switch (measure->kind) {
    case MEASURE_TV:
        return total_variation_begin(&measure->tv, a->shape[1], a->shape[2], error);
    case MEASURE_SSIM:
        return ssim_begin(&measure->ssim, a->shape[1], a->shape[2], measure->a, measure->b, error);
    case MEASURE_SLICE_DIFFERENCE:
    case MEASURE_PROJECTION_DIFFERENCE:
        return neighbours_begin(&measure->neighbours, a->shape[1], a->shape[2],
                                measure->kind == MEASURE_PROJECTION_DIFFERENCE, error);
    case MEASURE_PSNR:
        return 0;
    default:
        measure->result.part = calloc((size_t)parts, sizeof *measure->result.part);
        return measure->result.part ? 0 : error_set(error, "out of memory");
    }
}

int measure_begin(struct measure **result, enum measure_kind kind, bool background,
                  const struct array *a, const struct array *b, struct error *error)
{
    if (check(kind, a, b, error) < 0)
        return -1;
    struct measure *measure = calloc(1, sizeof *measure);
    if (!measure)
        return error_set(error, "out of memory");
    measure->kind = kind;
    measure->background = background;
    measure->slice_count = array_slice_count(a);
    measure->a = volume_intensity(a);
    measure->b = volume_intensity(b ? b : a);
    if (begin(measure, a, error) < 0) {
        free(measure);
        return -1;
    }
    *result = measure;
    return 0;
}

void measure_add(struct measure *measure, const float *a, const float *b)
{
    int64_t count = measure->slice_count;
    struct measurement *result = &measure->result;
    switch (measure->kind) {
    case MEASURE_TV:
        total_variation_add(&measure->tv, a);
        break;
    case MEASURE_SLICE_DIFFERENCE:
    case MEASURE_PROJECTION_DIFFERENCE:
        neighbours_add(&measure->neighbours, a);
        break;
    case MEASURE_DICE:
    case MEASURE_IOU:
        overlap_add(&measure->overlap, a, b, count);
        break;
    case MEASURE_MAD:
        result->part[result->parts++] = (struct measurement_part){
            .number = measure->slices, .value = surface_distance(a, b, count)};
        break;
    case MEASURE_PSNR:
        measure->sum += squared_error(a, measure->a, b, measure->b, count);
        break;
    default:
        measure->sum += ssim_slice(&measure->ssim, a, b);
        break;
    }
    measure->slices++;
}

static void list_classes(const struct measure *measure, struct measurement *result)
{
    const struct overlap *overlap = &measure->overlap;
    bool dice = measure->kind == MEASURE_DICE;
    for (int c = measure->background ? 0 : 1; c < OVERLAP_CLASSES; c++)
        if (overlap_present(overlap, c))
            result->part[result->parts++] = (struct measurement_part){
                .number = c, .value = dice ? overlap_dice(overlap, c) : overlap_iou(overlap, c)};
}

static double mean_of_parts(const struct measurement *result)
{
    double sum = 0;
    for (int64_t i = 0; i < result->parts; i++)
        sum += result->part[i].value;
    return result->parts ? sum / (double)result->parts : NAN;
}

void measure_finish(struct measure *measure, struct measurement *result)
{
    *result = measure->result;
    switch (measure->kind) {
    case MEASURE_TV:
        result->value = total_variation_finish(&measure->tv) * measure->a.scale / INTENSITY_PEAK;
        break;
    case MEASURE_SLICE_DIFFERENCE:
    case MEASURE_PROJECTION_DIFFERENCE:
        result->value = neighbours_finish(&measure->neighbours) * measure->a.scale / INTENSITY_PEAK;
        break;
    case MEASURE_PSNR:
        result->value = psnr(measure->sum, measure->slices * measure->slice_count);
        break;
    case MEASURE_SSIM:
        ssim_end(&measure->ssim);
        result->value = measure->sum / (double)measure->slices;
        break;
    case MEASURE_MAD:
        result->value = mean_of_parts(result);
        break;
    default:
        list_classes(measure, result);
        result->value = mean_of_parts(result);
        break;
    }
    free(measure);
}
