#include "lib/diffusion/sampler.h"

#include "lib/core/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* The network sees numbers of order 1: a scale beyond these is a mistake; f32 might overflow. */
#define LATENT_SCALE_LEAST 1e-6
#define LATENT_SCALE_MOST 1e6

enum { PARALLEL_COUNT = 1 << 15 }; /* floats that are worth waking threads for */

/* One step of any sampler is linear in what it knows; `old` is x₀ of the step before. */
struct step {
    int64_t t;
    float x0_xt, x0_output, eps_xt, eps_output;
    float next_xt, next_x0, next_eps, next_noise, next_old;
};

struct sampler {
    struct step *step;
    int64_t steps, count;
    bool needs_noise, needs_old;
    float clip, latent_scale;
    float alpha, sigma; /* of the first timestep */
    float *output, *noise, *old;
};

/* x_earlier = alpha·x₀ + √(sigma² − variance)·ε + √variance·noise, variance = η²·the posterior's.
 */
static void set_ddim(struct step *step, const struct schedule *schedule, int64_t earlier,
                     double eta)
{
    double sigma = schedule_sigma(schedule, earlier);
    double variance = eta * eta * schedule_transition(schedule, step->t, earlier).variance;
    step->next_x0 = (float)schedule_alpha(schedule, earlier);
    step->next_eps = (float)sqrt(fmax(0, sigma * sigma - variance));
    step->next_noise = (float)sqrt(variance);
}

static void set_ddpm(struct step *step, const struct schedule *schedule, int64_t earlier)
{
    struct transition transition = schedule_transition(schedule, step->t, earlier);
    step->next_xt = (float)transition.from_xt;
    step->next_x0 = (float)transition.from_x0;
    step->next_noise = (float)sqrt(transition.variance);
}

/* Half the logarithm of the signal-to-noise ratio; −∞ where there is no signal. */
static double lambda(const struct schedule *schedule, int64_t t)
{
    return log(schedule_alpha(schedule, t) / schedule_sigma(schedule, t));
}

/* x_earlier = sigma_e/sigma_t·x_t − alpha_e·(exp(−h) − 1)·D, h = lambda_e − lambda_t. First order:
 * D = x₀; second: D = x₀ + (x₀ − old)·h/(2·h of the step before). later < 0: first order. */
static void set_dpm(struct step *step, const struct schedule *schedule, int64_t later,
                    int64_t earlier)
{
    double alpha_t = schedule_alpha(schedule, step->t), alpha = schedule_alpha(schedule, earlier);
    double sigma_t = schedule_sigma(schedule, step->t), sigma = schedule_sigma(schedule, earlier);
    double gain = alpha - alpha_t * sigma / sigma_t; /* −alpha·(exp(−h) − 1) */
    double extrapolated = 0;
    if (later >= 0 && earlier >= 0) {
        double h = lambda(schedule, earlier) - lambda(schedule, step->t);
        double h_before = lambda(schedule, step->t) - lambda(schedule, later);
        extrapolated = h / (2 * h_before);
    }
    step->next_xt = (float)(sigma / sigma_t);
    step->next_x0 = (float)(gain * (1 + extrapolated));
    step->next_old = (float)(-gain * extrapolated);
}

/* The timesteps of the sampler, ascending, into timestep (T); *before is the one that the last
 * step leads to. Returns their number, or −1. */
static int64_t list_timesteps(const struct sampler_settings *settings,
                              const struct schedule *schedule, int64_t *timestep, int64_t *before,
                              struct error *error)
{
    const int64_t total = schedule->timesteps;
    int64_t steps = settings->steps;
    *before = settings->kind == SAMPLER_DDIM ? 0 : -1;
    if (settings->kind == SAMPLER_DDIM) {
        if (schedule_ddim_timesteps(schedule, steps, timestep, error) < 0)
            return -1;
    } else if (settings->kind == SAMPLER_DPM) {
        if (schedule_dpm_timesteps(schedule, steps, timestep, error) < 0)
            return -1;
    } else {
        if (steps != 0 && steps != total)
            return error_set(error, "ancestral sampling takes all %" PRId64 " steps, not %" PRId64,
                             total, steps);
        for (steps = 0; steps < total; steps++)
            timestep[steps] = steps;
    }
    if (settings->start < 0 || settings->start >= total)
        return error_set(error, "start at timestep %" PRId64 ": 1 to %" PRId64 " are possible",
                         settings->start, total - 1);
    while (settings->start > 0 && steps > 0 && timestep[steps - 1] > settings->start)
        steps--;
    if (steps == 0)
        return error_set(error, "start at timestep %" PRId64 ": the first step is at %" PRId64,
                         settings->start, timestep[0]);
    return steps;
}

/* Fill the table of steps, in the order of running. */
static int set_steps(struct sampler *sampler, const struct sampler_settings *settings,
                     const struct schedule *schedule, int64_t *timestep, struct error *error)
{
    int64_t before;
    sampler->steps = list_timesteps(settings, schedule, timestep, &before, error);
    if (sampler->steps < 0)
        return -1;
    sampler->step = calloc((size_t)sampler->steps, sizeof *sampler->step);
    if (!sampler->step)
        return error_set(error, "out of memory");
    for (int64_t i = 0; i < sampler->steps; i++) {
        struct step *step = &sampler->step[i];
        int64_t at = sampler->steps - 1 - i;
        int64_t earlier = at > 0 ? timestep[at - 1] : before, later = i > 0 ? step[-1].t : -1;
        step->t = timestep[at];
        struct conversion conversion =
            schedule_conversion(schedule, step->t, settings->parameterization);
        step->x0_xt = (float)conversion.x0_xt;
        step->x0_output = (float)conversion.x0_output;
        step->eps_xt = (float)conversion.eps_xt;
        step->eps_output = (float)conversion.eps_output;
        if (settings->kind == SAMPLER_DDIM)
            set_ddim(step, schedule, earlier, settings->eta);
        else if (settings->kind == SAMPLER_DDPM)
            set_ddpm(step, schedule, earlier);
        else
            set_dpm(step, schedule, later, earlier);
    }
    sampler->alpha = (float)schedule_alpha(schedule, sampler->step[0].t);
    sampler->sigma = (float)schedule_sigma(schedule, sampler->step[0].t);
    return 0;
}

static bool adds_noise(const struct sampler_settings *settings)
{
    return settings->kind == SAMPLER_DDPM || (settings->kind == SAMPLER_DDIM && settings->eta > 0);
}

static int check_settings(const struct sampler_settings *settings, struct error *error)
{
    if (!(settings->eta >= 0 && settings->eta <= 1))
        return error_set(error, "eta %g is not between 0 and 1", settings->eta);
    if (!(settings->clip > 0))
        return error_set(error, "clip %g is not positive", settings->clip);
    if (!(settings->latent_scale >= LATENT_SCALE_LEAST &&
          settings->latent_scale <= LATENT_SCALE_MOST))
        return error_set(error, "latent_scale %g is not between %g and %g", settings->latent_scale,
                         LATENT_SCALE_LEAST, LATENT_SCALE_MOST);
    return 0;
}

int64_t sampler_bytes(const struct sampler_settings *settings, int64_t count)
{
    int64_t arrays = 1 + adds_noise(settings) + (settings->kind == SAMPLER_DPM);
    return arrays * count * (int64_t)sizeof(float);
}

static int set_arrays(struct sampler *sampler, const struct sampler_settings *settings,
                      int64_t count, struct error *error)
{
    sampler->count = count;
    sampler->needs_noise = adds_noise(settings);
    sampler->needs_old = settings->kind == SAMPLER_DPM;
    sampler->output = calloc((size_t)count, sizeof(float));
    sampler->noise = sampler->needs_noise ? calloc((size_t)count, sizeof(float)) : NULL;
    sampler->old = sampler->needs_old ? calloc((size_t)count, sizeof(float)) : NULL;
    if (!sampler->output || (sampler->needs_noise && !sampler->noise) ||
        (sampler->needs_old && !sampler->old))
        return error_set(error, "out of memory");
    return 0;
}

int sampler_create(struct sampler **result, const struct sampler_settings *settings,
                   const struct schedule *schedule, int64_t count, struct error *error)
{
    if (check_settings(settings, error) < 0)
        return -1;
    struct sampler *sampler = calloc(1, sizeof *sampler);
    int64_t *timestep = calloc((size_t)schedule->timesteps, sizeof *timestep);
    int status = -1;
    if (!sampler || !timestep) {
        error_set(error, "out of memory");
    } else if (set_steps(sampler, settings, schedule, timestep, error) == 0) {
        sampler->clip = (float)settings->clip;
        sampler->latent_scale = (float)settings->latent_scale;
        status = set_arrays(sampler, settings, count, error);
    }
    free(timestep);
    if (status < 0)
        sampler_destroy(sampler);
    else
        *result = sampler;
    return status;
}

void sampler_destroy(struct sampler *sampler)
{
    if (!sampler)
        return;
    free(sampler->step);
    free(sampler->output);
    free(sampler->noise);
    free(sampler->old);
    free(sampler);
}

int64_t sampler_steps(const struct sampler *sampler)
{
    return sampler->steps;
}

int64_t sampler_first(const struct sampler *sampler)
{
    return sampler->step[0].t;
}

bool sampler_needs_noise(const struct sampler *sampler)
{
    return sampler->needs_noise;
}

/* x ← x of the earlier timestep. False when a value is not finite. */
static bool take_step(struct sampler *sampler, const struct step *step, float *x, int64_t count)
{
    const struct step s = *step; /* copies, which stores to x cannot change */
    const float clip = sampler->clip, *output = sampler->output;
    const float *noise = s.next_noise > 0 ? sampler->noise : NULL;
    float *old = sampler->old;
    bool finite = true;
#pragma omp parallel for schedule(static) reduction(& : finite) if (count > PARALLEL_COUNT)
    for (int64_t i = 0; i < count; i++) {
        float x0 = s.x0_xt * x[i] + s.x0_output * output[i];
        float eps = s.eps_xt * x[i] + s.eps_output * output[i];
        x0 = x0 > clip ? clip : x0 < -clip ? -clip : x0; /* NaN stays NaN */
        float next = s.next_xt * x[i] + s.next_x0 * x0 + s.next_eps * eps;
        if (noise)
            next += s.next_noise * noise[i];
        if (old) {
            next += s.next_old * old[i];
            old[i] = x0;
        }
        finite &= (bool)isfinite(next);
        x[i] = next;
    }
    return finite;
}

int sampler_run(struct sampler *sampler, float *x, int64_t count,
                const struct sampler_callbacks *callbacks, struct error *error)
{
    if (count > sampler->count)
        return error_set(error, "%" PRId64 " floats for a sampler of %" PRId64, count,
                         sampler->count);
    for (int64_t i = 0; sampler->old && i < count; i++)
        sampler->old[i] = 0;
    for (int64_t i = 0; i < sampler->steps; i++) {
        const struct step *step = &sampler->step[i];
        if (progress_interrupted())
            return error_set(error, "interrupted");
        if (callbacks->network(callbacks->context, x, count, (double)step->t, sampler->output,
                               error) < 0)
            return -1;
        if (step->next_noise > 0 &&
            callbacks->noise(callbacks->context, step->t, sampler->noise, count, error) < 0)
            return -1;
        if (!take_step(sampler, step, x, count))
            return error_set(error, "values are not finite after the step at timestep %" PRId64,
                             step->t);
        if (callbacks->advance)
            callbacks->advance(callbacks->context);
    }
    for (int64_t i = 0; i < count; i++)
        x[i] /= sampler->latent_scale;
    return 0;
}

void sampler_noise_to(const struct sampler *sampler, const float *z, float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = sampler->alpha * (z[i] * sampler->latent_scale) + sampler->sigma * x[i];
}
