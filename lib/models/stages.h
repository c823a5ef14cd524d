/* Stages: each network of the cascade as the stream sees it, ready to run.
 *
 * Inputs and outputs are dense f32 in the stream's slice-major layout. Sizes that a network cannot
 * take are refused with the nearest ones that fit. */
#ifndef OCTPIPE_MODELS_STAGES_H
#define OCTPIPE_MODELS_STAGES_H

#include "lib/engine/network.h"
#include "lib/models/unet.h"
#include "lib/models/weights.h"

struct stage_settings {
    const struct backend *backend;
    enum dtype activations; /* F32 or BF16 */
};

/* A network and the shape (d, c, h, w) of its stream output. */
struct stage {
    struct network *network;
    int64_t out_d, out_c, out_h, out_w;
};

/* thumbnail volume (d, h, w) in [−1,1] → z (d/4, 4, h/4, w/4) with two levels. */
int stage_encode3d(struct stage *stage, struct weights *weights, int64_t d, int64_t h, int64_t w,
                   const struct stage_settings *settings, struct error *error);

/* `slices` slices (slices, h, w) in [−1,1] → z_hr (slices, 4, h/8, w/8) with four levels. */
int stage_encode2d(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                   int64_t w, const struct stage_settings *settings, struct error *error);

/* The same slices → the last hidden map of that encoder, what its conv_out reads: (slices, c, h/8,
 * w/8) with four levels and c channels of the coarsest one. */
int stage_encode2d_features(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                            int64_t w, const struct stage_settings *settings, struct error *error);

/* Slices (slices, h, w) in [−1,1], grey as three equal colours → the last map of the Inception
 * network (inception.h): (slices, 2048, h', w'), 8×8 of 299×299. The graph is f32. */
int stage_inception(struct stage *stage, struct weights *weights, int64_t slices, int64_t h,
                    int64_t w, const struct stage_settings *settings, struct error *error);

/* z (d, c, h, w) → z_sr (8d, c, h, w) with three levels; always f32. */
int stage_latent_sr(struct stage *stage, struct weights *weights, int64_t d, int64_t c, int64_t h,
                    int64_t w, const struct stage_settings *settings, struct error *error);

/* One window of z_hr (window, c, h, w) → slices (kept.count, 8h, 8w), those that `kept` names of
 * the window's; count 0: all of them. A slice is the same whichever others are made with it. */
int stage_decode_slices(struct stage *stage, struct weights *weights, int64_t window,
                        struct layer_slices kept, int64_t c, int64_t h, int64_t w,
                        const struct stage_settings *settings, struct error *error);

/* The same, of all slices. */
int stage_decode(struct stage *stage, struct weights *weights, int64_t window, int64_t c, int64_t h,
                 int64_t w, const struct stage_settings *settings, struct error *error);

/* Does the decoder of these weights have 3-D adaptors? 1, 0, or −1. */
int stage_decode_has_adaptors(struct weights *weights, struct error *error);

/* A diffusion network. dims 3: x (d, c, h, w), one sample; dims 2: x (batch, c, h, w) with a
 * condition of the same shape as its second input. The last input is the timestep, one f32.
 * Output: the network's prediction, shaped like x. */
int stage_denoise(struct stage *stage, struct weights *weights, int dims, int64_t slices, int64_t c,
                  int64_t h, int64_t w, const struct stage_settings *settings, struct error *error);

/* Two slices (h, w) in [−1,1], h and w at least 16 → their LPIPS distance (lpips.h), one f32. */
int stage_lpips(struct stage *stage, struct weights *weights, int64_t h, int64_t w,
                const struct stage_settings *settings, struct error *error);

/* Refuse a U-Net or latents that stage_denoise cannot take, as above. */
int stage_check_denoise(const struct unet_config *config, int dims, int64_t slices, int64_t c,
                        int64_t h, int64_t w, struct error *error);

void stage_close(struct stage *stage);

#endif
