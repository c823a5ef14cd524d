#include "lib/io/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Along one axis, output i is the sum of `taps` input elements from first[i] on, each with its
 * weight. */
struct axis {
    int64_t in, out, taps;
    int64_t *first;
    float *weight; /* (out, taps) */
};

struct resize {
    struct axis axis[3];
    int64_t line;         /* elements of an input row */
    int64_t given, taken; /* input and output slices so far */
    float *row;           /* (line): the taps along H added up */
    float *ring; /* (taps along D, H', W'): the latest input slices, resized in the plane */
};

static int64_t floor_of(int64_t i, int64_t in, int64_t out)
{
    return (int64_t)((__int128)i * in / out);
}

static int64_t ceil_of(int64_t i, int64_t in, int64_t out)
{
    return (int64_t)(((__int128)i * in + out - 1) / out);
}

static void set_linear(struct axis *axis, int64_t i)
{
    double place = ((double)i + 0.5) * (double)axis->in / (double)axis->out - 0.5;
    place = fmin(fmax(place, 0), (double)(axis->in - 1));
    axis->first[i] = (int64_t)place;
    if (axis->first[i] > axis->in - axis->taps)
        axis->first[i] = axis->in - axis->taps;
    float weight = (float)(place - (double)axis->first[i]);
    if (axis->taps == 1)
        weight = 0;
    axis->weight[i * axis->taps] = 1 - weight;
    if (axis->taps > 1)
        axis->weight[i * axis->taps + 1] = weight;
}

/* Where blocks differ in length, a shorter one gets a tap of weight 0, behind it or, at the end,
 * before it. */
static void set_area(struct axis *axis, int64_t i)
{
    int64_t from = floor_of(i, axis->in, axis->out), end = ceil_of(i + 1, axis->in, axis->out);
    axis->first[i] = from < axis->in - axis->taps ? from : axis->in - axis->taps;
    for (int64_t k = from; k < end; k++)
        axis->weight[i * axis->taps + k - axis->first[i]] = 1 / (float)(end - from);
}

static int64_t longest_block(const struct axis *axis)
{
    int64_t longest = 0;
    for (int64_t i = 0; i < axis->out; i++) {
        int64_t block = ceil_of(i + 1, axis->in, axis->out) - floor_of(i, axis->in, axis->out);
        longest = block > longest ? block : longest;
    }
    return longest;
}

static int set_axis(struct axis *axis, enum resize_method method, int64_t in, int64_t out)
{
    *axis = (struct axis){.in = in, .out = out};
    axis->taps = method == RESIZE_AREA               ? longest_block(axis)
                 : method == RESIZE_LINEAR && in > 1 ? 2
                                                     : 1;
    axis->first = calloc((size_t)out, sizeof *axis->first);
    axis->weight = calloc((size_t)(out * axis->taps), sizeof *axis->weight);
    if (!axis->first || !axis->weight)
        return -1;
    for (int64_t i = 0; i < out; i++) {
        if (method == RESIZE_LINEAR) {
            set_linear(axis, i);
        } else if (method == RESIZE_AREA) {
            set_area(axis, i);
        } else {
            axis->first[i] = floor_of(i, in, out);
            axis->weight[i] = 1;
        }
    }
    return 0;
}

int resize_by_factor(struct resize_size *size, enum resize_method method, const int64_t in[3],
                     const int64_t factor[3], struct error *error)
{
    for (int i = 0; i < 3; i++) {
        if (factor[i] < 1 || factor[i] > in[i])
            return error_set(error, "factor %lld does not fit %lld elements along %c",
                             (long long)factor[i], (long long)in[i], "DHW"[i]);
        size->in[i] = in[i];
        size->out[i] = in[i] / factor[i];
        size->used[i] = method == RESIZE_AREA ? size->out[i] * factor[i] : in[i];
    }
    return 0;
}

int resize_open(struct resize **resize, enum resize_method method, const struct resize_size *size,
                struct error *error)
{
    struct resize *made = calloc(1, sizeof *made);
    bool good = made != NULL;
    for (int i = 0; i < 3 && good; i++)
        good = set_axis(&made->axis[i], method, size->used[i], size->out[i]) == 0;
    if (good) {
        const struct axis *axis = made->axis;
        made->row = calloc((size_t)size->in[2], sizeof *made->row);
        made->ring = calloc((size_t)(axis[0].taps * axis[1].out * axis[2].out), sizeof *made->ring);
        made->line = size->in[2];
        good = made->row && made->ring;
    }
    if (!good) {
        resize_close(made);
        return error_set(error, "out of memory");
    }
    *resize = made;
    return 0;
}

void resize_close(struct resize *resize)
{
    if (!resize)
        return;
    for (int i = 0; i < 3; i++) {
        free(resize->axis[i].first);
        free(resize->axis[i].weight);
    }
    free(resize->row);
    free(resize->ring);
    free(resize);
}

/* to (count) is the sum of the taps of output i. Input element k, of `count` numbers, is the one at
 * k % ring of `from`. */
static void add_taps(const struct axis *axis, int64_t i, const float *from, int64_t ring,
                     int64_t count, float *to)
{
    for (int64_t tap = 0; tap < axis->taps; tap++) {
        const float *line = from + (axis->first[i] + tap) % ring * count;
        float weight = axis->weight[i * axis->taps + tap];
        if (tap == 0)
            for (int64_t k = 0; k < count; k++)
                to[k] = weight * line[k];
        else
            for (int64_t k = 0; k < count; k++)
                to[k] += weight * line[k];
    }
}

/* Is the next input slice one that an output slice needs? */
static bool wanted(const struct resize *resize)
{
    const struct axis *depth = &resize->axis[0];
    for (int64_t i = resize->taken; i < depth->out && depth->first[i] <= resize->given; i++)
        if (resize->given < depth->first[i] + depth->taps)
            return true;
    return false;
}

void resize_restart(struct resize *resize)
{
    resize->given = resize->taken = 0;
}

void resize_put(struct resize *resize, const float *slice)
{
    const struct axis *height = &resize->axis[1], *width = &resize->axis[2];
    if (wanted(resize)) {
        int64_t place = resize->given % resize->axis[0].taps;
        float *to = resize->ring + place * height->out * width->out;
        for (int64_t y = 0; y < height->out; y++) {
            add_taps(height, y, slice, height->in, resize->line, resize->row);
            for (int64_t x = 0; x < width->out; x++)
                add_taps(width, x, resize->row, width->in, 1, to++);
        }
    }
    resize->given++;
}

bool resize_take(struct resize *resize, float *slice)
{
    const struct axis *depth = &resize->axis[0];
    int64_t i = resize->taken;
    if (i == depth->out || resize->given < depth->first[i] + depth->taps)
        return false;
    add_taps(depth, i, resize->ring, depth->taps, resize->axis[1].out * resize->axis[2].out, slice);
    resize->taken++;
    return true;
}
