#include "lib/metrics/measure.h"

#include "lib/metrics/neighbours.h"
#include "lib/metrics/overlap.h"
#include "lib/metrics/surfaces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const measure_names[MEASURES + 1] = {"tv",
                                                 "dice",
                                                 "iou",
                                                 "mad",
                                                 "psnr",
                                                 "ssim",
                                                 "ms-ssim",
                                                 "lpips",
                                                 "slice-difference",
                                                 "projection-difference",
                                                 NULL};

struct measure {
    enum measure_kind kind;
    struct measure_settings settings;
    int64_t slices, slice_count;
    struct intensity a, b;
    struct total_variation tv;
    struct neighbours neighbours;
    struct overlap overlap;
    struct ssim ssim;
    double sum; /* of squared errors, or of the slices' values */
    struct measurement result;
};

int measure_operands(enum measure_kind kind)
{
    bool one = kind == MEASURE_TV || kind == MEASURE_SLICE_DIFFERENCE ||
               kind == MEASURE_PROJECTION_DIFFERENCE;
    return one ? 1 : 2;
}

const char *measure_name(enum measure_kind kind, const struct measure_settings *settings,
                         char text[MEASURE_NAME])
{
    const char *name = measure_names[kind];
    snprintf(text, MEASURE_NAME, "%s", name);
    if (kind == MEASURE_TV && settings->tv != TV_PAPER)
        snprintf(text, MEASURE_NAME, "%s-%s", name, total_variation_kinds[settings->tv]);
    if (kind == MEASURE_MS_SSIM && settings->scales != SIMILARITY_SCALES)
        snprintf(text, MEASURE_NAME, "%s-%d-scales", name, settings->scales);
    return text;
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
    [MEASURE_MS_SSIM] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
    [MEASURE_LPIPS] = {"volume", "volumes (D,H,W) of u1 or f4", true, true},
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
    int64_t rows = a->shape[1], columns = a->shape[2];
    switch (measure->kind) {
    case MEASURE_TV:
        return total_variation_begin(&measure->tv, measure->settings.tv, rows, columns, error);
    case MEASURE_SSIM:
        return ssim_begin(&measure->ssim, 1, rows, columns, measure->a, measure->b, error);
    case MEASURE_MS_SSIM:
        return ssim_begin(&measure->ssim, measure->settings.scales, rows, columns, measure->a,
                          measure->b, error);
    case MEASURE_LPIPS:
        return perceptual_fit(measure->settings.perceptual, rows, columns, error);
    case MEASURE_SLICE_DIFFERENCE:
    case MEASURE_PROJECTION_DIFFERENCE:
        return neighbours_begin(&measure->neighbours, rows, columns,
                                measure->kind == MEASURE_PROJECTION_DIFFERENCE, error);
    case MEASURE_PSNR:
        return 0;
    default:
        measure->result.part = calloc((size_t)parts, sizeof *measure->result.part);
        return measure->result.part ? 0 : error_set(error, "out of memory");
    }
}

int measure_begin(struct measure **result, enum measure_kind kind,
                  const struct measure_settings *settings, const struct array *a,
                  const struct array *b, struct error *error)
{
    if (check(kind, a, b, error) < 0)
        return -1;
    struct measure *measure = calloc(1, sizeof *measure);
    if (!measure)
        return error_set(error, "out of memory");
    measure->kind = kind;
    measure->settings = *settings;
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

static void add_surface(struct measure *measure, const float *a, const float *b)
{
    struct measurement *result = &measure->result;
    result->part[result->parts++] = (struct measurement_part){
        .number = measure->slices,
        .value = surface_distance(a, b, measure->slice_count, &result->left_out)};
}

int measure_add(struct measure *measure, const float *a, const float *b, struct error *error)
{
    int64_t count = measure->slice_count;
    double distance;
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
        add_surface(measure, a, b);
        break;
    case MEASURE_PSNR:
        measure->sum += squared_error(a, measure->a, b, measure->b, count);
        break;
    case MEASURE_LPIPS:
        if (perceptual_distance(measure->settings.perceptual, a, measure->a, b, measure->b,
                                &distance, error) < 0)
            return -1;
        measure->sum += distance;
        break;
    default:
        measure->sum += ssim_slice(&measure->ssim, a, b);
        break;
    }
    measure->slices++;
    return 0;
}

static void list_classes(const struct measure *measure, struct measurement *result)
{
    const struct overlap *overlap = &measure->overlap;
    bool dice = measure->kind == MEASURE_DICE;
    for (int c = measure->settings.background ? 0 : 1; c < OVERLAP_CLASSES; c++)
        if (overlap_present(overlap, c))
            result->part[result->parts++] = (struct measurement_part){
                .number = c, .value = dice ? overlap_dice(overlap, c) : overlap_iou(overlap, c)};
}

/* Over the parts that have a value. */
static double mean_of_parts(const struct measurement *result)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < result->parts; i++)
        if (!isnan(result->part[i].value)) {
            sum += result->part[i].value;
            count++;
        }
    return count ? sum / (double)count : NAN;
}

void measure_finish(struct measure *measure, struct measurement *result)
{
    double unit = measure->a.scale / INTENSITY_PEAK; /* of the volume, in [0,1] */
    *result = measure->result;
    switch (measure->kind) {
    case MEASURE_TV:
        result->value = total_variation_finish(&measure->tv) * unit;
        break;
    case MEASURE_SLICE_DIFFERENCE:
    case MEASURE_PROJECTION_DIFFERENCE:
        result->value = neighbours_finish(&measure->neighbours) * unit;
        break;
    case MEASURE_PSNR:
        result->value = psnr(measure->sum, measure->slices * measure->slice_count);
        break;
    case MEASURE_SSIM:
    case MEASURE_MS_SSIM:
    case MEASURE_LPIPS:
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
