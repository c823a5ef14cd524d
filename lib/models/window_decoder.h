/* The multi-slice decoder over the windows of a volume (MODEL.md, multi-slice decoder): of each
 * window only the slices that are taken from it are made, and what they depend on.
 *
 * The first and the last windows give more slices than those between. Each needs a network of its
 * own; there is one at a time, and the next one packs the weights again. */
#ifndef OCTPIPE_MODELS_WINDOW_DECODER_H
#define OCTPIPE_MODELS_WINDOW_DECODER_H

#include "lib/models/stages.h"
#include "lib/models/windows.h"

struct window_decoder {
    struct weights *weights; /* the caller's */
    struct stage_settings settings;
    struct windows windows;
    int64_t c, h, w;          /* of a latent */
    struct stage stage;       /* the open network; at first the one that takes most memory */
    struct layer_slices kept; /* that it makes */
    int64_t most_kept;        /* slices that any window gives */
    int calls, under_way;     /* windows at once, at most and now */
};

/* Plan the decoder of latents (windows.slices, c, h, w). After an error there is nothing to close.
 */
int window_decoder_open(struct window_decoder *decoder, struct weights *weights,
                        struct windows windows, int64_t c, int64_t h, int64_t w,
                        const struct stage_settings *settings, struct error *error);
void window_decoder_close(struct window_decoder *decoder);

/* Decode window j from its latents z (window, c, h, w) in two steps, as network_start and
 * network_finish do, so that windows of the same network may be under way together: `start` has the
 * slices (count, 8h, 8w) from windows_first(windows, j) on made, `finish` ends the oldest window.
 * window_decoder_waits: must those under way be ended before j, for there are too many of them or j
 * needs another network? */
bool window_decoder_waits(const struct window_decoder *decoder, int64_t j);
int window_decoder_start(struct window_decoder *decoder, int64_t j, const float *z, float *slices,
                         struct error *error);
int window_decoder_finish(struct window_decoder *decoder, struct error *error);

#endif
