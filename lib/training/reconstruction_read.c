#include "lib/training/reconstruction_parts.h"

#include "lib/models/autoencoder2d.h"
#include "lib/models/nhae.h"

#include <inttypes.h>
#include <string.h>

/* Multiples that D, H and W of a box must be of, and NHAE's thumbnail factor. */
static int read_multiples(struct reconstruction *r, int64_t multiple[3], struct error *error)
{
    struct weights *of_encoder = r->encoder ? r->encoder : r->weights;
    struct encoder3d_config encoder3d;
    struct latent_sr_config sr;
    struct autoencoder2d_config encoder, decoder;
    if (encoder2d_read(&encoder, of_encoder, error) || decoder2d_read(&decoder, r->weights, error))
        return -1;
    if ((r->settings.kind == RECONSTRUCT_MULTISLICE) != decoder.adaptors)
        return error_set(error, decoder.adaptors
                                    ? "the weights are of a multi-slice decoder"
                                    : "the decoder has no 3-D adaptors; make them with "
                                      "init-weights multislice --from");
    multiple[0] = 1;
    multiple[1] = multiple[2] = (int64_t)1 << (encoder.levels - 1);
    if (r->settings.kind != RECONSTRUCT_NHAE)
        return 0;
    if (encoder3d_read(&encoder3d, r->weights, error) || latent_sr_read(&sr, r->weights, error))
        return -1;
    r->thumbnail = (int64_t)1 << (sr.levels - encoder3d.levels);
    multiple[0] = (int64_t)1 << sr.levels;
    if (sr.levels <= encoder3d.levels || multiple[0] != multiple[1])
        return error_set(error, "levels of the 2-D and 3-D networks do not match");
    return 0;
}

static int check_extent(const char *axis, int64_t extent, int64_t multiple, struct error *error)
{
    if (extent % multiple == 0)
        return 0;
    return error_set(error, "%s = %" PRId64 " is not a multiple of %" PRId64 "; choose a --crop",
                     axis, extent, multiple);
}

/* Boxes lie within every volume. */
static int check_volumes(const struct reconstruction *r, struct error *error)
{
    for (int64_t i = 0; i < r->data->count; i++) {
        const struct dataset_array *a = &r->data->list[i];
        const int64_t *shape = a->array.shape;
        bool deep = shape[0] >= (r->settings.kind == RECONSTRUCT_AUTOENCODER2D ? 1 : r->d);
        if (!deep || shape[1] < r->h || shape[2] < r->w)
            return error_set(error,
                             "%s: %" PRId64 "×%" PRId64 "×%" PRId64 " is smaller than the %" PRId64
                             "×%" PRId64 "×%" PRId64 " that training reads; choose a --crop",
                             a->path, shape[0], shape[1], shape[2], r->d, r->h, r->w);
    }
    return 0;
}

int reconstruction_arrange(struct reconstruction *r, struct error *error)
{
    const int64_t *crop = r->settings.crop, *shape = r->data->list[0].array.shape;
    int64_t multiple[3], held = r->options->held_out;
    if (held >= r->data->count)
        return error_set(error,
                         "--held-out %" PRId64 " of %" PRId64 " volumes leaves none to learn from; "
                         "give more volumes, or --held-out 0",
                         held, r->data->count);
    r->learned = r->data->count - held;
    r->k = r->options->batch;
    r->d = r->settings.kind != RECONSTRUCT_NHAE ? r->k : crop[0] ? crop[0] : shape[0];
    r->h = crop[1] ? crop[1] : shape[1];
    r->w = crop[2] ? crop[2] : shape[2];
    if (read_multiples(r, multiple, error) || check_extent("D", r->d, multiple[0], error) ||
        check_extent("H", r->h, multiple[1], error) || check_extent("W", r->w, multiple[2], error))
        return -1;
    return check_volumes(r, error);
}

/* A place in 0 … room, from the random numbers of a sample. */
struct place {
    uint64_t seed;
    int64_t step, sample;
    bool centred; /* not random: the middle */
};

static int64_t choose(const struct place *place, int64_t i, int64_t room)
{
    return place->centred
               ? room / 2
               : order_below(place->seed, ORDER_CROP, place->step, place->sample, i, room + 1);
}

/* Slices of a box at a random place of each slice's plane. */
static void read_slice(struct reconstruction *r, const struct dataset_array *a, int64_t slice,
                       int64_t slices, const struct place *place, float *out)
{
    struct dataset_box box = {
        .from = {slice, choose(place, 0, a->array.shape[1] - r->h),
                 choose(place, 1, a->array.shape[2] - r->w)},
        .size = {slices, r->h, r->w},
    };
    dataset_read_box(a, &box, out);
}

/* NHAE: a box, its thumbnail (nearest neighbour, MODEL.md "The path of the data"), and slices of
 * it. */
static void read_volume(struct reconstruction *r, const struct dataset_array *a,
                        const struct place *place)
{
    const int64_t *shape = a->array.shape, f = r->thumbnail, plane = r->h * r->w;
    struct dataset_box box = {
        .from = {choose(place, 0, shape[0] - r->d), choose(place, 1, shape[1] - r->h),
                 choose(place, 2, shape[2] - r->w)},
        .size = {r->d, r->h, r->w},
        .flip = {!place->centred && choose(place, 3, 1), false,
                 !place->centred && choose(place, 4, 1)},
    };
    dataset_read_box(a, &box, r->box);
    float *small = r->small;
    for (int64_t z = 0; z < r->d; z += f)
        for (int64_t y = 0; y < r->h; y += f)
            for (int64_t x = 0; x < r->w; x += f)
                *small++ = r->box[z * plane + y * r->w + x];
    for (int64_t i = 0; i < r->k; i++) {
        int64_t slice =
            place->centred ? (2 * i + 1) * r->d / (2 * r->k) : choose(place, 5 + i, r->d - 1);
        r->numbers[i] = (float)slice;
        memcpy(r->slices + i * plane, r->box + slice * plane, (size_t)plane * sizeof *r->slices);
    }
}

/* Sample n of the run, or of what is held out, from the volumes `first` on. */
static void read_item(struct reconstruction *r, int64_t first, int64_t item, int64_t i,
                      const struct place *place)
{
    int64_t array = first + item, slice = 0;
    if (r->settings.kind != RECONSTRUCT_NHAE)
        dataset_locate(r->data, first, item, &array, &slice);
    const struct dataset_array *a = &r->data->list[array];
    int64_t last = a->array.shape[0] - r->k;
    if (r->settings.kind == RECONSTRUCT_NHAE)
        read_volume(r, a, place);
    else if (r->settings.kind == RECONSTRUCT_MULTISLICE)
        read_slice(r, a, slice < last ? slice : last, r->k, place, r->slices);
    else
        read_slice(r, a, slice, 1, place, r->slices + i * r->h * r->w);
}

/* Items that a run of the network reads. */
static int64_t items_at_once(const struct reconstruction *r)
{
    return r->settings.kind == RECONSTRUCT_AUTOENCODER2D ? r->k : 1;
}

void reconstruction_read(struct reconstruction *r, int64_t step, int64_t part)
{
    int64_t batch = items_at_once(r), parts = r->options->accumulate;
    for (int64_t i = 0; i < batch; i++) {
        int64_t number = part * batch + i;
        struct place place = {r->order.seed, step, number, false};
        read_item(r, 0, order_item(&r->order, step * parts * batch + number), i, &place);
    }
}

void reconstruction_read_held(struct reconstruction *r, int64_t number, int64_t count)
{
    int64_t batch = items_at_once(r), held = r->data->count - r->learned;
    int64_t items =
        r->settings.kind == RECONSTRUCT_NHAE ? held : dataset_slices(r->data, r->learned, held);
    for (int64_t i = 0; i < batch; i++) {
        int64_t n = number * batch + i;
        struct place place = {.centred = true};
        read_item(r, r->learned, (2 * n + 1) * items / (2 * count * batch), i, &place);
    }
}
