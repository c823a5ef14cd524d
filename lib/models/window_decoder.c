#include "lib/models/window_decoder.h"

static bool same_slices(struct layer_slices a, struct layer_slices b)
{
    return a.first == b.first && a.count == b.count;
}

/* Have the network that makes these slices. */
static int open_network(struct window_decoder *d, struct layer_slices kept, struct error *error)
{
    if (d->stage.network && same_slices(kept, d->kept))
        return 0;
    stage_close(&d->stage);
    d->kept = kept;
    if (stage_decode_slices(&d->stage, d->weights, d->windows.window, kept, d->c, d->h, d->w,
                            &d->settings, error))
        return -1;
    d->calls = windows_count(d->windows) > 1 ? network_overlap(d->stage.network) : 1;
    return 0;
}

/* Plan the networks of all windows one after another; end with the one that takes most memory. */
static int plan(struct window_decoder *d, struct error *error)
{
    struct layer_slices largest = {0};
    int64_t most = -1;
    for (int64_t j = 0; j < windows_count(d->windows); j++) {
        struct layer_slices kept = windows_kept(d->windows, j);
        if (open_network(d, kept, error))
            return -1;
        if (network_memory(d->stage.network).total > most) {
            most = network_memory(d->stage.network).total;
            largest = kept;
        }
        if (kept.count > d->most_kept)
            d->most_kept = kept.count;
    }
    return open_network(d, largest, error);
}

int window_decoder_open(struct window_decoder *d, struct weights *weights, struct windows windows,
                        int64_t c, int64_t h, int64_t w, const struct stage_settings *settings,
                        struct error *error)
{
    *d = (struct window_decoder){
        .weights = weights, .settings = *settings, .windows = windows, .c = c, .h = h, .w = w};
    if (!plan(d, error))
        return 0;
    window_decoder_close(d);
    return -1;
}

void window_decoder_close(struct window_decoder *d)
{
    stage_close(&d->stage);
    *d = (struct window_decoder){0};
}

bool window_decoder_waits(const struct window_decoder *d, int64_t j)
{
    return d->under_way == d->calls ||
           (d->under_way && !same_slices(windows_kept(d->windows, j), d->kept));
}

int window_decoder_start(struct window_decoder *d, int64_t j, const float *z, float *slices,
                         struct error *error)
{
    if (open_network(d, windows_kept(d->windows, j), error) ||
        network_start(d->stage.network, (const void *const[]){z}, (void *const[]){slices}, error))
        return -1;
    d->under_way++;
    return 0;
}

int window_decoder_finish(struct window_decoder *d, struct error *error)
{
    d->under_way--;
    return network_finish(d->stage.network, error);
}
