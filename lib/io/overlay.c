#include "lib/io/overlay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SURFACES_AT_MOST = 255 }; /* labels are bytes, and 0 is none */

void overlay_open(struct overlay *overlay, const struct filter *filter)
{
    if (!overlay->path)
        return;
    bool from_stdin = filter->files == 0;
    for (int i = 0; i < filter->files; i++)
        from_stdin |= strcmp(filter->file[i], "-") == 0;
    overlay->filter =
        (struct filter){.program = filter->program, .files = 1, .file = (char **)&overlay->path};
    if (from_stdin && strcmp(overlay->path, "-") == 0)
        filter_fail(&overlay->filter, "both inputs are stdin");
    filter_open_input(&overlay->filter);
}

void overlay_close(struct overlay *overlay)
{
    if (!overlay->path)
        return;
    stream_reader_close(overlay->filter.input);
    free(overlay->surface);
}

static void read_surfaces(struct overlay *overlay, const struct array *volume)
{
    struct array *surfaces = &overlay->array;
    int64_t count = surfaces->shape[0];
    char found[128];
    if (surfaces->rank != 3 || count > SURFACES_AT_MOST || surfaces->shape[1] != volume->shape[0] ||
        surfaces->shape[2] != volume->shape[2])
        filter_fail(&overlay->filter, "surfaces (S, %lld, %lld) are expected, not %s",
                    (long long)volume->shape[0], (long long)volume->shape[2],
                    array_describe(surfaces, found, sizeof found));
    overlay->surface =
        filter_allocate(&overlay->filter, array_count(surfaces), sizeof *overlay->surface);
    filter_read_f32(&overlay->filter, overlay->surface, count);
}

void overlay_next(struct overlay *overlay, const struct array *volume)
{
    struct array *array = &overlay->array;
    char expected[128], found[128];
    if (!overlay->path)
        return;
    if (!filter_next(&overlay->filter, array))
        filter_fail(&overlay->filter, "there are more volumes than arrays");
    if (volume->rank != 3)
        filter_fail(&overlay->filter, "an overlay needs a volume (D,H,W), not %s",
                    array_describe(volume, found, sizeof found));
    free(overlay->surface);
    overlay->surface = NULL;
    overlay->h = volume->shape[1];
    overlay->w = volume->shape[2];
    overlay->next = 0;
    if (strcmp(array->kind, "surfaces") == 0 || (!*array->kind && array->dtype != DTYPE_U8)) {
        read_surfaces(overlay, volume);
        return;
    }
    struct array labels = {.dtype = DTYPE_U8, .rank = 3};
    memcpy(labels.shape, volume->shape, 3 * sizeof *labels.shape);
    array_describe(&labels, expected, sizeof expected);
    array_describe(array, found, sizeof found);
    if (strcmp(expected, found) != 0)
        filter_fail(&overlay->filter, "labels %s are expected, not %s", expected, found);
}

double overlay_opacity(const struct overlay *overlay)
{
    const double tint = 0.4;
    return !overlay->path ? 0 : overlay->surface ? 1 : tint;
}

/* Row of the voxel that a surface runs through, H or −1 when it is outside. */
static int64_t row_of(float surface, int64_t h)
{
    double row = floor((double)surface + 0.5);
    return row >= 0 ? (row < (double)h ? (int64_t)row : h) : -1;
}

static void draw_line(const struct overlay *overlay, const float *surface, uint8_t number,
                      uint8_t *label)
{
    for (int64_t x = 0; x < overlay->w; x++) {
        int64_t row = row_of(surface[x], overlay->h);
        bool joined = x > 0 && isfinite(surface[x]) && isfinite(surface[x - 1]);
        int64_t before = joined ? row_of(surface[x - 1], overlay->h) : row;
        int64_t first = row > before ? before + 1 : row, last = row < before ? before - 1 : row;
        for (int64_t y = first > 0 ? first : 0; y <= last && y < overlay->h; y++)
            label[y * overlay->w + x] = number;
    }
}

void overlay_read(struct overlay *overlay, uint8_t *label)
{
    if (!overlay->path)
        return;
    int64_t d = overlay->next++, slice = array_slice_count(&overlay->array);
    if (!overlay->surface) {
        filter_read(&overlay->filter, label, 1);
        return;
    }
    memset(label, 0, (size_t)(overlay->h * overlay->w));
    for (int64_t s = 0; s < overlay->array.shape[0]; s++)
        draw_line(overlay, overlay->surface + s * slice + d * overlay->w, (uint8_t)(s + 1), label);
}

const float *overlay_surface(struct overlay *overlay, int64_t index)
{
    if (!overlay->surface)
        filter_fail(&overlay->filter, "these are labels, not surfaces");
    if (index >= overlay->array.shape[0])
        filter_fail(&overlay->filter, "there is no surface %lld; they are 0 to %lld",
                    (long long)index, (long long)overlay->array.shape[0] - 1);
    return overlay->surface + index * array_slice_count(&overlay->array);
}
