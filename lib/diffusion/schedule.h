/* The noise schedule of a diffusion process (MODEL.md, Diffusion), in double.
 *
 * At timestep t = 0 … T−1 a sample is x_t = alpha[t]·x₀ + sigma[t]·ε. "Time −1" is clean data:
 * alpha 1, sigma 0. Variance-preserving schedules have alpha = √ᾱ and sigma = √(1−ᾱ). */
#ifndef OCTPIPE_DIFFUSION_SCHEDULE_H
#define OCTPIPE_DIFFUSION_SCHEDULE_H

#include "lib/core/error.h"

#include <stdint.h>

/* What a network predicts: ε; v = alpha·ε − sigma·x₀; or the flow ε − x₀. */
enum parameterization { PARAMETERIZATION_EPS, PARAMETERIZATION_V, PARAMETERIZATION_FLOW };

/* "eps", "v", "flow"; NULL is eps. */
int parameterization_from_name(const char *name, enum parameterization *parameterization,
                               struct error *error);

struct schedule {
    int64_t timesteps;          /* T */
    double *beta, *alpha_bar;   /* (T); alpha_bar = alpha² */
    double *alpha, *sigma;      /* (T) */
    double *posterior_x0;       /* (T) mean of x_{t−1} given x_t and x₀: this times x₀ … */
    double *posterior_xt;       /* (T) … plus this times x_t */
    double *posterior_variance; /* (T) */
};

/* Make the schedule that a weight file's metadata names:
 *   "linear"       β = linspace(√1e-4, √2e-2, T)²; "linear A B" takes √A … √B
 *   "cosine"       ᾱ = cos²((t/T + s)/(1 + s)·π/2) with s = 0.008, β at most 0.999
 *   "straight"     alpha = 1 − (t+1)/T, sigma = (t+1)/T, the path of flow matching
 *   NULL           straight where the network predicts a flow, else linear
 * A network that predicts ε needs some signal at every t, which straight does not keep. */
int schedule_create(struct schedule *schedule, const char *name, int64_t timesteps,
                    enum parameterization parameterization, struct error *error);
void schedule_destroy(struct schedule *schedule);

/* The step from timestep t to an earlier one (−1: clean data). */
struct transition {
    double from_xt, from_x0; /* mean of x_earlier given x_t and x₀ */
    double variance;
};
struct transition schedule_transition(const struct schedule *schedule, int64_t t, int64_t earlier);

/* alpha and sigma at t = −1 … T−1. */
double schedule_alpha(const struct schedule *schedule, int64_t t);
double schedule_sigma(const struct schedule *schedule, int64_t t);

/* x₀ and ε from x_t and the network's output: x0 = x0_xt·x_t + x0_output·output, ε likewise. */
struct conversion {
    double x0_xt, x0_output, eps_xt, eps_output;
};
struct conversion schedule_conversion(const struct schedule *schedule, int64_t t,
                                      enum parameterization parameterization);

/* DDIM: t = 1 + 0, T/S, 2T/S, …, ascending; S = steps divides T and is less. The step before t = 1
 * is 0. timestep (S). */
int schedule_ddim_timesteps(const struct schedule *schedule, int64_t steps, int64_t *timestep,
                            struct error *error);

/* DPM-Solver++: t = round((T−1)·i/S) for i = 1 … S, ascending; 1 ≤ S < T. The step before the
 * first is −1. timestep (S). */
int schedule_dpm_timesteps(const struct schedule *schedule, int64_t steps, int64_t *timestep,
                           struct error *error);

#endif
