#include "lib/metrics/perceptual.h"

#include <stdlib.h>

int perceptual_fit(struct perceptual *perceptual, int64_t rows, int64_t columns,
                   struct error *error)
{
    struct stage_settings f32 = perceptual->settings;
    if (perceptual->rows == rows && perceptual->columns == columns)
        return 0;
    perceptual_close(perceptual);
    f32.activations = DTYPE_F32;
    if (stage_lpips(&perceptual->stage, perceptual->weights, rows, columns, &f32, error) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        perceptual->gray[i] = calloc((size_t)(rows * columns), sizeof *perceptual->gray[i]);
    if (!perceptual->gray[0] || !perceptual->gray[1]) {
        perceptual_close(perceptual);
        return error_set(error, "no memory for slices of %lldx%lld", (long long)rows,
                         (long long)columns);
    }
    perceptual->rows = rows;
    perceptual->columns = columns;
    perceptual->bytes = network_memory(perceptual->stage.network).total +
                        2 * rows * columns * (int64_t)sizeof *perceptual->gray[0];
    return 0;
}

void perceptual_close(struct perceptual *perceptual)
{
    stage_close(&perceptual->stage);
    for (int i = 0; i < 2; i++) {
        free(perceptual->gray[i]);
        perceptual->gray[i] = NULL;
    }
    perceptual->rows = perceptual->columns = 0;
}

static void to_unit(const float *slice, struct intensity intensity, float *to, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] =
            (float)((intensity.scale * (double)slice[i] + intensity.offset) * 2 / INTENSITY_PEAK -
                    1);
}

int perceptual_distance(struct perceptual *perceptual, const float *a, struct intensity intensity_a,
                        const float *b, struct intensity intensity_b, double *distance,
                        struct error *error)
{
    int64_t count = perceptual->rows * perceptual->columns;
    float value;
    to_unit(a, intensity_a, perceptual->gray[0], count);
    to_unit(b, intensity_b, perceptual->gray[1], count);
    if (network_run(perceptual->stage.network,
                    (const void *const[]){perceptual->gray[0], perceptual->gray[1]},
                    (void *const[]){&value}, error) < 0)
        return -1;
    *distance = (double)value;
    return 0;
}
