/* A diffusion network with its schedule and sampler: from noise to latents (paper, sections on the
 * global diffusion model and the slice refiner; MODEL.md "Diffusion").
 *
 * What the weights' metadata says (timesteps, schedule, parameterization, clip, latent_scale) is
 * honoured; latents outside are unscaled. */
#ifndef OCTPIPE_MODELS_DENOISER_H
#define OCTPIPE_MODELS_DENOISER_H

#include "lib/core/random.h"
#include "lib/diffusion/sampler.h"
#include "lib/io/array.h"
#include "lib/models/stages.h"

enum { DENOISER_DDIM_STEPS = 200, DENOISER_DPM_STEPS = 20 };

struct denoiser_settings {
    enum sampler_kind sampler;
    int64_t steps; /* 0: all for DDPM, else as above */
    double eta;
    double clip; /* INFINITY: none; NAN: from the weights */
    int64_t start;
    uint64_t seed;
    enum random_stage initial, step; /* keys of the noise */
    double
        common; /* share, 0 … 1, of the variance of the seed's noise that slices have in common */
};

/* The diffusion process that weights are for, as their metadata says. */
struct denoiser_process {
    enum parameterization parameterization;
    struct schedule schedule;  /* the caller's to destroy */
    double latent_scale, clip; /* clip: of |x₀| as the network sees it; INFINITY: none */
};
int denoiser_read_process(struct denoiser_process *process, const struct weights *weights,
                          struct error *error);

struct denoiser;

/* dims 3: one latent of `slices` slices at a time. dims 2: up to `slices` slices at a time, each
 * by itself, with a condition of the same shape. */
int denoiser_open(struct denoiser **denoiser, struct weights *weights, int dims, int64_t slices,
                  int64_t c, int64_t h, int64_t w, const struct denoiser_settings *settings,
                  const struct stage_settings *stage, struct error *error);
void denoiser_close(struct denoiser *denoiser); /* NULL is fine */

/* Bytes at the peak: the network's plan and the sampler's arrays. */
int64_t denoiser_bytes(const struct denoiser *denoiser);
const struct stage *denoiser_stage(const struct denoiser *denoiser);
int64_t denoiser_steps(const struct denoiser *denoiser);     /* calls of the network in a run */
int64_t denoiser_timesteps(const struct denoiser *denoiser); /* T of the schedule */

/* Where a batch stands, and noise from files where there is any. */
struct denoiser_batch {
    int64_t array, first, slices; /* index of the array; first slice and number of slices */
    const float *condition;       /* (slices, c, h, w), dims 2 */
    const float *noise;           /* (slices, c, h, w); NULL: from the seed */
    const float *step_noise;      /* (timesteps, all_slices, c, h, w); NULL: from the seed */
    int64_t all_slices;
    const float *begin;      /* with settings.start: the latent to noise */
    void (*advance)(void *); /* called after each step with `context`; may be NULL */
    void *context;
};

/* Sample a batch into z (slices, c, h, w). */
int denoiser_run(struct denoiser *denoiser, const struct denoiser_batch *batch, float *z,
                 struct error *error);

/* Standard normals of a latent's slices first … first+slices−1, `count` floats each. */
void denoiser_noise(uint64_t seed, enum random_stage stage, int64_t array, int64_t step,
                    int64_t first, int64_t slices, int64_t count, float *out);

/* The array index that keys the noise: the metadata's, or the position of a bare array. */
int64_t denoiser_index(const struct array *array, int64_t position);

#endif
