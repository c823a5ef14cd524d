/* Samplers: from noise to a sample by calls of a network, in f32 on the host.
 *
 * Arrays are `count` floats in any order (slice-major here); a sampler treats every element by
 * itself, with coefficients that depend on the step alone, so a slice's result does not depend on
 * the others of its batch.
 *
 * Scale: inside, x is what the network sees. The caller's samples are that divided by
 * latent_scale: sampler_run divides at its end, sampler_noise_to multiplies. Whatever else the
 * network reads (a condition) is for the caller to scale. */
#ifndef OCTPIPE_DIFFUSION_SAMPLER_H
#define OCTPIPE_DIFFUSION_SAMPLER_H

#include "lib/diffusion/schedule.h"

#include <stdbool.h>

enum sampler_kind {
    SAMPLER_DDIM, /* Song et al. 2021; ε stays the network's where x₀ is clamped */
    SAMPLER_DDPM, /* ancestral, Ho et al. 2020: all T steps */
    SAMPLER_DPM,  /* DPM-Solver++(2M), Lu et al. 2022: first and last step of first order */
};

struct sampler_settings {
    enum sampler_kind kind;
    int64_t steps; /* S; DDPM: T or 0 */
    double eta;    /* DDIM: 0 … 1, how much of the posterior's noise is added at each step */
    double clip;   /* bound of |x₀| as the network sees it; INFINITY: none */
    enum parameterization parameterization;
    double latent_scale; /* 1e-6 … 1e6 */
    int64_t start;       /* only the steps with timesteps up to this one; 0: all */
};

/* Predict for x (count floats) at timestep t → out (count floats). */
typedef int sampler_network(void *context, const float *x, int64_t count, double t, float *out,
                            struct error *error);

/* Fill out with the count standard normals of the step at timestep t. */
typedef int sampler_noise(void *context, int64_t t, float *out, int64_t count, struct error *error);

struct sampler_callbacks {
    void *context;
    sampler_network *network;
    sampler_noise *noise;           /* may be NULL where sampler_needs_noise is false */
    void (*advance)(void *context); /* after each step, for progress; may be NULL */
};

struct sampler;

/* A sampler for arrays of up to count floats, with all its memory; the schedule is not kept. */
int sampler_create(struct sampler **sampler, const struct sampler_settings *settings,
                   const struct schedule *schedule, int64_t count, struct error *error);
void sampler_destroy(struct sampler *sampler); /* NULL is fine */

/* Bytes that sampler_create takes for the arrays of `count` floats. */
int64_t sampler_bytes(const struct sampler_settings *settings, int64_t count);

int64_t sampler_steps(const struct sampler *sampler); /* calls of the network in a run */
int64_t sampler_first(const struct sampler *sampler); /* timestep of the first one */
bool sampler_needs_noise(const struct sampler *sampler);

/* x: noise → sample. May be called again and again, with any count up to the created one. An
 * interruption (lib/core/progress.h) and values that are not finite are errors. */
int sampler_run(struct sampler *sampler, float *x, int64_t count,
                const struct sampler_callbacks *callbacks, struct error *error);

/* x: standard normals → the sample z noised to the first timestep, where sampler_run takes over. */
void sampler_noise_to(const struct sampler *sampler, const float *z, float *x, int64_t count);

#endif
