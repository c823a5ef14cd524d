#include "tests/unit/diffusion.h"

/* Relative: 1 − ᾱ loses four digits of double at t = 0. */
static void compare_tables(const double *table, const double *expected, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        assert_near(table[i], expected[i], 1e-11 * fabs(expected[i]));
}

static void check_ddim_tables(const struct safetensors *file, const struct schedule *schedule,
                              int64_t steps)
{
    int64_t timestep[200];
    struct error error;
    assert_int_equal(schedule_ddim_timesteps(schedule, steps, timestep, &error), 0);
    const int64_t *expected =
        golden_data(file, DTYPE_I64, steps, "out.ddim%d.timesteps", (int)steps);
    const double *alphas = golden_data(file, DTYPE_F64, steps, "out.ddim%d.alphas", (int)steps);
    const double *before =
        golden_data(file, DTYPE_F64, steps, "out.ddim%d.alphas_prev", (int)steps);
    const double *sigmas =
        golden_data(file, DTYPE_F64, steps, "out.ddim%d.sigmas_eta1", (int)steps);
    for (int64_t i = 0; i < steps; i++) {
        assert_int_equal(timestep[i], expected[i]);
        int64_t earlier = i ? timestep[i - 1] : 0;
        double variance = schedule_transition(schedule, timestep[i], earlier).variance;
        assert_near(schedule->alpha_bar[timestep[i]], alphas[i], 1e-11 * alphas[i]);
        assert_near(schedule->alpha_bar[earlier], before[i], 1e-11 * before[i]);
        assert_near(sqrt(variance), sigmas[i], 1e-11 * sigmas[i]);
    }
}

static void check_golden(const char *path)
{
    struct safetensors file;
    open_golden(&file, path);
    struct schedule s = make_schedule(NULL, 1000, PARAMETERIZATION_EPS);
    compare_tables(s.beta, golden_data(&file, DTYPE_F64, 1000, "out.betas"), 1000);
    compare_tables(s.alpha_bar, golden_data(&file, DTYPE_F64, 1000, "out.alphas_cumprod"), 1000);
    compare_tables(s.posterior_x0, golden_data(&file, DTYPE_F64, 1000, "out.posterior_mean_coef1"),
                   1000);
    compare_tables(s.posterior_xt, golden_data(&file, DTYPE_F64, 1000, "out.posterior_mean_coef2"),
                   1000);
    compare_tables(s.posterior_variance,
                   golden_data(&file, DTYPE_F64, 1000, "out.posterior_variance"), 1000);
    check_ddim_tables(&file, &s, 200);
    check_ddim_tables(&file, &s, 50);
    check_ddim_tables(&file, &s, 20);
    schedule_destroy(&s);
    safetensors_close(&file);
}

static void test_goldens(void **state)
{
    (void)state;
    assert_true(golden_each("schedule", check_golden) >= 1);
}

static void test_other_schedules(void **state)
{
    (void)state;
    struct safetensors file;
    open_golden(&file, "testdata/goldens/schedule.safetensors");
    struct schedule cosine = make_schedule("cosine", 50, PARAMETERIZATION_V);
    compare_tables(cosine.alpha_bar,
                   golden_data(&file, DTYPE_F64, 50, "out.cosine50.alphas_cumprod"), 50);
    schedule_destroy(&cosine);
    struct schedule linear = make_schedule("linear 2e-4 5e-2", 50, PARAMETERIZATION_EPS);
    compare_tables(linear.alpha_bar,
                   golden_data(&file, DTYPE_F64, 50, "out.linear50.alphas_cumprod"), 50);
    schedule_destroy(&linear);
    safetensors_close(&file);
    struct schedule flow = make_schedule(NULL, 4, PARAMETERIZATION_FLOW);
    for (int t = 0; t < 4; t++) {
        assert_true(flow.sigma[t] == (t + 1) / 4.0);
        assert_true(flow.alpha[t] == (3 - t) / 4.0);
    }
    schedule_destroy(&flow);
}

static const struct {
    const char *name;
    int64_t timesteps;
    enum parameterization parameterization;
} kinds[] = {
    {"linear", 1000, PARAMETERIZATION_EPS},      {"linear", 1, PARAMETERIZATION_EPS},
    {"linear 1e-3 0.3", 20, PARAMETERIZATION_V}, {"cosine", 100, PARAMETERIZATION_FLOW},
    {"straight", 64, PARAMETERIZATION_FLOW},     {"straight", 7, PARAMETERIZATION_V},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Stepping back from x_t with the true x₀ gives the distribution of the earlier x, whatever the
 * two timesteps: mean alpha·x₀, variance sigma². */
static void test_transitions(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        struct schedule s =
            make_schedule(kinds[k].name, kinds[k].timesteps, kinds[k].parameterization);
        for (int64_t t = 0; t < s.timesteps; t++)
            for (int64_t earlier = t - 1; earlier >= -1; earlier -= 1 + t / 7) {
                struct transition step = schedule_transition(&s, t, earlier);
                double alpha = schedule_alpha(&s, earlier), sigma = schedule_sigma(&s, earlier);
                assert_true(step.variance >= 0);
                assert_near(step.from_x0 + step.from_xt * s.alpha[t], alpha, 1e-12);
                assert_near(step.from_xt * step.from_xt * s.sigma[t] * s.sigma[t] + step.variance,
                            sigma * sigma, 1e-12);
            }
        schedule_destroy(&s);
    }
}

static void test_conversions(void **state)
{
    (void)state;
    const double x0 = 0.7, eps = -1.3;
    for (int k = 0; k < KINDS; k++) {
        struct schedule s =
            make_schedule(kinds[k].name, kinds[k].timesteps, kinds[k].parameterization);
        for (int64_t t = 0; t < s.timesteps; t++) {
            double alpha = s.alpha[t], sigma = s.sigma[t], xt = alpha * x0 + sigma * eps;
            const double output[] = {eps, alpha * eps - sigma * x0, eps - x0};
            for (int p = alpha > 0 ? 0 : 1; p < 3; p++) {
                struct conversion c = schedule_conversion(&s, t, (enum parameterization)p);
                double limit = p == 0 ? 1e-15 * 4 / alpha : 1e-14;
                assert_near(c.x0_xt * xt + c.x0_output * output[p], x0, limit);
                assert_near(c.eps_xt * xt + c.eps_output * output[p], eps, 1e-14);
            }
        }
        schedule_destroy(&s);
    }
}

static void test_names_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"quadratic", "schedule \"quadratic\": linear, cosine and straight are known"},
        {"linear 1e-4", "expected \"linear A B\""},
        {"linear1e-4 2e-2", "expected \"linear A B\""},
        {"linear 1e-4 2e-2 3", "expected \"linear A B\""},
        {"linear 2e-2 1e-4", "betas must ascend"},
        {"linear 0 1e-4", "betas must ascend"},
        {"linear 1e-4 1", "betas must ascend"},
        {"linear nan nan", "betas must ascend"},
        {"straight", "needs a network that predicts v or flow"},
    };
    struct schedule schedule;
    struct error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(schedule_create(&schedule, cases[i][0], 10, PARAMETERIZATION_EPS, &error),
                         -1);
        assert_contains(&error, cases[i][1]);
        assert_null(schedule.beta);
    }
    for (int64_t timesteps = -1; timesteps < 1; timesteps++)
        assert_int_equal(schedule_create(&schedule, NULL, timesteps, PARAMETERIZATION_EPS, &error),
                         -1);
    assert_int_equal(schedule_create(&schedule, NULL, INT64_MAX, PARAMETERIZATION_EPS, &error), -1);

    enum parameterization p = PARAMETERIZATION_V;
    assert_int_equal(parameterization_from_name(NULL, &p, &error), 0);
    assert_int_equal(p, PARAMETERIZATION_EPS);
    assert_int_equal(parameterization_from_name("flow", &p, &error), 0);
    assert_int_equal(p, PARAMETERIZATION_FLOW);
    assert_int_equal(parameterization_from_name("x0", &p, &error), -1);
    assert_contains(&error, "parameterization \"x0\"");
}

static void test_step_counts(void **state)
{
    (void)state;
    struct schedule s = make_schedule(NULL, 1000, PARAMETERIZATION_EPS);
    int64_t timestep[1000];
    struct error error;
    static const struct {
        int64_t steps;
        const char *reason;
    } refused[] = {
        {300, "300 DDIM steps do not divide 1000 timesteps; 250 and 500 do"},
        {3, "3 DDIM steps do not divide 1000 timesteps; 2 and 4 do"},
        {1000, "nearest number is 500"},
        {999, "nearest number is 500"},
        {INT64_MAX, "nearest number is 500"},
        {0, "nearest number is 1"},
        {-5, "nearest number is 1"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(schedule_ddim_timesteps(&s, refused[i].steps, timestep, &error), -1);
        assert_contains(&error, refused[i].reason);
    }
    assert_int_equal(schedule_ddim_timesteps(&s, 1, timestep, &error), 0);
    assert_int_equal(timestep[0], 1);

    for (int64_t steps = 1; steps < 1000; steps++) {
        assert_int_equal(schedule_dpm_timesteps(&s, steps, timestep, &error), 0);
        assert_int_equal(timestep[steps - 1], 999);
        assert_true(timestep[0] >= 1);
        for (int64_t i = 1; i < steps; i++)
            assert_true(timestep[i] > timestep[i - 1]);
    }
    const int64_t wrong[] = {0, -1, 1000, INT64_MAX};
    for (int i = 0; i < 4; i++)
        assert_int_equal(schedule_dpm_timesteps(&s, wrong[i], timestep, &error), -1);
    schedule_destroy(&s);

    struct schedule single = make_schedule(NULL, 1, PARAMETERIZATION_EPS);
    assert_int_equal(schedule_ddim_timesteps(&single, 1, timestep, &error), -1);
    assert_contains(&error, "at least 2 timesteps");
    schedule_destroy(&single);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),       cmocka_unit_test(test_other_schedules),
        cmocka_unit_test(test_transitions),   cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_names_refused), cmocka_unit_test(test_step_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
