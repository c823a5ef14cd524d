/* Samplers on Gaussian data, where the best network is known. */
#include "lib/core/random.h"
#include "tests/unit/diffusion.h"

struct gaussian {
    const struct schedule *schedule;
    enum parameterization parameterization;
    double mean, deviation;
    struct random_key key;
};

/* E[x₀|x_t] of data N(mean, deviation²). */
static double gaussian_x0(const struct gaussian *g, double x, int64_t t)
{
    double alpha = g->schedule->alpha[t], sigma = g->schedule->sigma[t];
    double data = g->deviation * g->deviation, noise = sigma * sigma;
    return (g->mean * noise + data * alpha * x) / (alpha * alpha * data + noise);
}

/* That, said in the network's parameterization. */
static int gaussian_network(void *context, const float *x, int64_t count, double t, float *out,
                            struct error *error)
{
    (void)error;
    const struct gaussian *g = context;
    double alpha = g->schedule->alpha[(int64_t)t], sigma = g->schedule->sigma[(int64_t)t];
    for (int64_t i = 0; i < count; i++) {
        double x0 = gaussian_x0(g, x[i], (int64_t)t), eps = (x[i] - alpha * x0) / sigma;
        const double output[] = {eps, alpha * eps - sigma * x0, eps - x0};
        out[i] = (float)output[g->parameterization];
    }
    return 0;
}

static int philox_noise(void *context, int64_t t, float *out, int64_t count, struct error *error)
{
    (void)error;
    struct random_key key = ((const struct gaussian *)context)->key;
    key.step = t;
    random_normal(&key, out, count);
    return 0;
}

/* Mean and deviation of x_t. */
static void gaussian_at(const struct gaussian *g, int64_t t, double *mean, double *deviation)
{
    *mean = schedule_alpha(g->schedule, t) * g->mean;
    *deviation =
        hypot(schedule_alpha(g->schedule, t) * g->deviation, schedule_sigma(g->schedule, t));
}

/* The largest error of a deterministic sampler against the exact differential equation, which
 * takes quantiles to quantiles. DDIM ends at t = 0. DPM-Solver++ ends by taking x₀ at its lowest
 * timestep, which is not an approximation to be judged, so the exact solution does the same. */
static double flow_error(const struct gaussian *g, enum sampler_kind kind, int64_t steps)
{
    enum { COUNT = 61 };
    const struct sampler_settings settings = {.kind = kind,
                                              .steps = steps,
                                              .clip = INFINITY,
                                              .parameterization = g->parameterization,
                                              .latent_scale = 1};
    struct sampler *sampler = make_sampler(&settings, g->schedule, COUNT);
    int64_t timestep[1000], last = 0;
    struct error error;
    if (kind == SAMPLER_DPM) {
        assert_int_equal(schedule_dpm_timesteps(g->schedule, steps, timestep, &error), 0);
        last = timestep[0];
    }
    double mean[2], deviation[2];
    gaussian_at(g, sampler_first(sampler), &mean[0], &deviation[0]);
    gaussian_at(g, last, &mean[1], &deviation[1]);
    float x[COUNT], start[COUNT];
    for (int i = 0; i < COUNT; i++)
        start[i] = x[i] = (float)(mean[0] + deviation[0] * (i - COUNT / 2) * 0.1);
    const struct sampler_callbacks callbacks = {.context = (void *)(uintptr_t)g,
                                                .network = gaussian_network};
    assert_int_equal(sampler_run(sampler, x, COUNT, &callbacks, &error), 0);
    double largest = 0;
    for (int i = 0; i < COUNT; i++) {
        double expected = mean[1] + deviation[1] * ((start[i] - mean[0]) / deviation[0]);
        if (kind == SAMPLER_DPM)
            expected = gaussian_x0(g, expected, last);
        largest = fmax(largest, fabs(x[i] - expected));
    }
    sampler_destroy(sampler);
    return largest;
}

static void test_convergence(void **state)
{
    (void)state;
    struct schedule vp = make_schedule(NULL, 1000, PARAMETERIZATION_EPS);
    struct schedule straight = make_schedule(NULL, 1000, PARAMETERIZATION_FLOW);
    const struct gaussian cases[] = {
        {.schedule = &vp, .parameterization = PARAMETERIZATION_EPS, .mean = 0.3, .deviation = 0.8},
        {.schedule = &vp, .parameterization = PARAMETERIZATION_V, .mean = -0.5, .deviation = 0.4},
        {.schedule = &straight,
         .parameterization = PARAMETERIZATION_FLOW,
         .mean = 1,
         .deviation = 0.5},
    };
    for (int i = 0; i < 3; i++) {
        double coarse = flow_error(&cases[i], SAMPLER_DDIM, 100);
        double fine = flow_error(&cases[i], SAMPLER_DDIM, 200);
        assert_true(fine < 0.02 && fabs(coarse / fine - 2) < 0.1);
        /* Less than the 4 of second order: the steps grow in log(alpha/sigma) where sigma → 0. */
        coarse = flow_error(&cases[i], SAMPLER_DPM, 160);
        fine = flow_error(&cases[i], SAMPLER_DPM, 320);
        assert_true(fine < 4e-4 && coarse / fine > 2.9 && coarse / fine < 4.1);
    }
    schedule_destroy(&vp);
    schedule_destroy(&straight);
}

/* Samplers that add noise, from N(0, 1): the network is linear here, so mean and variance of x can
 * be followed exactly through the steps; samples must have them, and they must be the data's. */
static void check_moments(enum sampler_kind kind, int64_t steps, double eta)
{
    enum { COUNT = 4096 };
    struct schedule schedule = make_schedule(NULL, 1000, PARAMETERIZATION_EPS);
    struct gaussian g = {.schedule = &schedule, .mean = 0.6, .deviation = 0.5};
    const struct sampler_settings settings = {
        .kind = kind, .steps = steps, .eta = eta, .clip = INFINITY, .latent_scale = 1};
    struct sampler *sampler = make_sampler(&settings, &schedule, COUNT);
    static float x[COUNT];
    struct error error;
    g.key = (struct random_key){.seed = 3, .stage = RANDOM_NOISE};
    random_normal(&g.key, x, COUNT);
    g.key.stage = RANDOM_DIFFUSE_STEP;
    const struct sampler_callbacks callbacks = {
        .context = &g, .network = gaussian_network, .noise = philox_noise};
    assert_int_equal(sampler_run(sampler, x, COUNT, &callbacks, &error), 0);

    const int64_t stride = 1000 / steps, last = kind == SAMPLER_DDIM ? 0 : -1;
    double mean = 0, variance = 1;
    for (int64_t t = sampler_first(sampler); t > last; t -= stride) {
        int64_t earlier = t - stride > last ? t - stride : last;
        double alpha = schedule.alpha[t], sigma = schedule.sigma[t];
        double slope = gaussian_x0(&g, 1, t) - gaussian_x0(&g, 0, t),
               offset = gaussian_x0(&g, 0, t);
        struct transition step = schedule_transition(&schedule, t, earlier);
        double on_xt = step.from_xt, on_x0 = step.from_x0;
        if (kind == SAMPLER_DDIM) { /* ε = (x − alpha·x₀)/sigma */
            double sigma_earlier = schedule_sigma(&schedule, earlier);
            on_xt = sqrt(sigma_earlier * sigma_earlier - eta * eta * step.variance) / sigma;
            on_x0 = schedule_alpha(&schedule, earlier) - on_xt * alpha;
            step.variance *= eta * eta;
        }
        double gain = on_xt + on_x0 * slope;
        mean = gain * mean + on_x0 * offset;
        variance = gain * gain * variance + step.variance;
    }
    assert_near(mean, g.mean, 0.01);
    assert_near(sqrt(variance), g.deviation, 0.02);
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) {
        sum += x[i] - mean;
        squares += (x[i] - mean) * (x[i] - mean);
    }
    assert_near(sum / COUNT, 0, 5 * sqrt(variance / COUNT));
    assert_near(squares / COUNT, variance, 5 * variance * sqrt(2.0 / COUNT));
    sampler_destroy(sampler);
    schedule_destroy(&schedule);
}

static void test_moments(void **state)
{
    (void)state;
    check_moments(SAMPLER_DDPM, 1000, 0);
    check_moments(SAMPLER_DDIM, 250, 1);
    check_moments(SAMPLER_DDIM, 250, 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convergence),
        cmocka_unit_test(test_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
