#include "lib/core/progress.h"
#include "lib/core/random.h"
#include "tests/unit/diffusion.h"

#include <signal.h>

enum { GOLDEN_COUNT = 64, GOLDEN_T = 50 };

static int made_up_network(void *context, const float *x, int64_t count, double t, float *out,
                           struct error *error)
{
    (void)context, (void)error;
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(0.5 * sin(2.0 * x[i] + t / 10) + 0.3 * x[i]);
    return 0;
}

static int golden_noise(void *context, int64_t t, float *out, int64_t count, struct error *error)
{
    (void)error;
    assert_in_range(t, 1, GOLDEN_T - 1);
    memcpy(out, (const float *)context + t * GOLDEN_COUNT, (size_t)count * sizeof *out);
    return 0;
}

static void read_case(const char *text, struct sampler_settings *settings,
                      struct schedule *schedule)
{
    char kind[16], parameterization[16], name[16];
    long steps, timesteps, start;
    struct error error;
    *settings = (struct sampler_settings){0};
    assert_int_equal(sscanf(text, "%15s %ld %lf %lf %15s %ld %15s %lf %ld", kind, &steps,
                            &settings->eta, &settings->clip, parameterization, &timesteps, name,
                            &settings->latent_scale, &start),
                     9);
    settings->kind = strcmp(kind, "ddim") == 0   ? SAMPLER_DDIM
                     : strcmp(kind, "ddpm") == 0 ? SAMPLER_DDPM
                                                 : SAMPLER_DPM;
    settings->steps = steps;
    settings->start = start;
    assert_int_equal(
        parameterization_from_name(parameterization, &settings->parameterization, &error), 0);
    *schedule = make_schedule(name, timesteps, settings->parameterization);
}

/* The reference computes in double. Rounding to f32 is 3e-7 for values up to 5, and the steps
 * shrink what they inherit from noisier ones. */
static const float golden_tolerance = 2e-6f;

static void test_goldens(void **state)
{
    (void)state;
    struct safetensors file;
    open_golden(&file, "testdata/goldens/samplers.safetensors");
    const float *noise = golden_data(&file, DTYPE_F32, GOLDEN_COUNT, "in.noise");
    const float *z = golden_data(&file, DTYPE_F32, GOLDEN_COUNT, "in.z");
    const float *step_noise =
        golden_data(&file, DTYPE_F32, GOLDEN_T * GOLDEN_COUNT, "in.step_noise");
    assert_true(file.metadata_count >= 14);
    for (int64_t i = 0; i < file.metadata_count; i++) {
        struct sampler_settings settings;
        struct schedule schedule;
        struct error error = {""};
        read_case(file.metadata_value[i], &settings, &schedule);
        struct sampler *sampler = make_sampler(&settings, &schedule, GOLDEN_COUNT);
        float x[GOLDEN_COUNT];
        memcpy(x, noise, sizeof x);
        if (settings.start)
            sampler_noise_to(sampler, z, x, GOLDEN_COUNT);
        const struct sampler_callbacks callbacks = {
            .context = (void *)(uintptr_t)step_noise,
            .network = made_up_network,
            .noise = sampler_needs_noise(sampler) ? golden_noise : NULL,
        };
        assert_int_equal(sampler_run(sampler, x, GOLDEN_COUNT, &callbacks, &error), 0);
        const float *expected =
            golden_data(&file, DTYPE_F32, GOLDEN_COUNT, "out.%s", file.metadata_key[i]);
        for (int j = 0; j < GOLDEN_COUNT; j++)
            if (!(fabsf(x[j] - expected[j]) <= golden_tolerance))
                fail_msg("%s: element %d is %.9g, not %.9g", file.metadata_key[i], j, x[j],
                         expected[j]);
        sampler_destroy(sampler);
        schedule_destroy(&schedule);
    }
    safetensors_close(&file);
}

/* A network that says the same everywhere, and a count of the calls. */
struct constant {
    float value;
    int calls, noises, advances;
};

static int constant_network(void *context, const float *x, int64_t count, double t, float *out,
                            struct error *error)
{
    (void)x, (void)t, (void)error;
    struct constant *constant = context;
    constant->calls++;
    for (int64_t i = 0; i < count; i++)
        out[i] = constant->value;
    return 0;
}

static int constant_noise(void *context, int64_t t, float *out, int64_t count, struct error *error)
{
    (void)error;
    assert_true(t > 0);
    ((struct constant *)context)->noises++;
    memset(out, 0, (size_t)count * sizeof *out);
    return 0;
}

static void count_advance(void *context)
{
    ((struct constant *)context)->advances++;
}

/* One DDIM step by hand: x₀ is clamped, ε stays what the network said. Also the other bound, and
 * no bound; and the result is divided by latent_scale while the bound is not. */
static void test_clip(void **state)
{
    (void)state;
    struct schedule schedule = make_schedule("linear 0.2 0.6", 2, PARAMETERIZATION_EPS);
    const double eps = 0.25, start[3] = {9, -7, 0.5}, clips[] = {0.75, INFINITY};
    const double alpha = schedule.alpha[1], sigma = schedule.sigma[1];
    struct error error;
    for (int c = 0; c < 2; c++) {
        const struct sampler_settings settings = {
            .kind = SAMPLER_DDIM, .steps = 1, .clip = clips[c], .latent_scale = 4};
        struct sampler *sampler = make_sampler(&settings, &schedule, 3);
        struct constant constant = {.value = (float)eps};
        const struct sampler_callbacks callbacks = {.context = &constant,
                                                    .network = constant_network};
        float x[3];
        for (int i = 0; i < 3; i++)
            x[i] = (float)start[i];
        assert_false(sampler_needs_noise(sampler));
        assert_int_equal(sampler_run(sampler, x, 3, &callbacks, &error), 0);
        for (int i = 0; i < 3; i++) {
            double x0 = fmin(fmax((start[i] - sigma * eps) / alpha, -clips[c]), clips[c]);
            assert_near(x[i], (schedule.alpha[0] * x0 + schedule.sigma[0] * eps) / 4, 1e-6);
        }
        sampler_destroy(sampler);
    }
    schedule_destroy(&schedule);
}

/* Ancestral sampling ends in x₀ itself, so a bound of it holds to the bit. */
static void test_callbacks(void **state)
{
    (void)state;
    struct schedule schedule = make_schedule(NULL, 12, PARAMETERIZATION_EPS);
    static const struct {
        struct sampler_settings settings;
        int calls, noises;
        int64_t first;
    } cases[] = {
        {{.kind = SAMPLER_DDPM, .clip = 1, .latent_scale = 2}, 12, 11, 11},
        {{.kind = SAMPLER_DDPM, .steps = 12, .clip = 1, .latent_scale = 2, .start = 5}, 6, 5, 5},
        {{.kind = SAMPLER_DDIM, .steps = 6, .clip = 1, .latent_scale = 1}, 6, 0, 11},
        {{.kind = SAMPLER_DDIM, .steps = 6, .eta = 1, .clip = 1, .latent_scale = 1}, 6, 6, 11},
        {{.kind = SAMPLER_DDIM, .steps = 6, .clip = 1, .latent_scale = 1, .start = 6}, 3, 0, 5},
        {{.kind = SAMPLER_DPM, .steps = 4, .clip = 1, .latent_scale = 2}, 4, 0, 11},
        {{.kind = SAMPLER_DPM, .steps = 4, .clip = 1, .latent_scale = 2, .start = 10}, 3, 0, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct sampler_settings *settings = &cases[i].settings;
        struct sampler *sampler = make_sampler(settings, &schedule, 5);
        struct constant constant = {.value = -100};
        const struct sampler_callbacks callbacks = {.context = &constant,
                                                    .network = constant_network,
                                                    .noise = constant_noise,
                                                    .advance = count_advance};
        float x[5] = {0, 1, 2, 3, 4};
        struct error error;
        assert_int_equal(sampler_run(sampler, x, 5, &callbacks, &error), 0);
        assert_int_equal(constant.calls, cases[i].calls);
        assert_int_equal(constant.advances, cases[i].calls);
        assert_int_equal(constant.noises, cases[i].noises);
        assert_int_equal(sampler_steps(sampler), cases[i].calls);
        assert_int_equal(sampler_first(sampler), cases[i].first);
        assert_int_equal(sampler_needs_noise(sampler), cases[i].noises > 0);
        for (int k = 0; k < 5 && settings->kind != SAMPLER_DDIM; k++)
            assert_true(x[k] == 0.5f);
        sampler_destroy(sampler);
    }
    schedule_destroy(&schedule);
}

/* The noise of slices is keyed by their number: here context holds the first one of the batch. */
enum { SLICE = 7, SLICES = 12 };

static int slice_noise(void *context, int64_t t, float *out, int64_t count, struct error *error)
{
    (void)error;
    struct random_key key = {.stage = RANDOM_REFINE_STEP, .step = t};
    for (int64_t slice = 0; slice < count / SLICE; slice++) {
        key.slice = *(const int64_t *)context + slice;
        random_normal(&key, out + slice * SLICE, SLICE);
    }
    return 0;
}

static void run_in_batches(const struct sampler_settings *settings, const struct schedule *schedule,
                           int64_t batch, float *x)
{
    struct sampler *sampler = make_sampler(settings, schedule, batch * SLICE);
    struct error error;
    for (int64_t first = 0; first < SLICES; first += batch) {
        const struct sampler_callbacks callbacks = {
            .context = &first, .network = made_up_network, .noise = slice_noise};
        int64_t slices = first + batch > SLICES ? SLICES - first : batch;
        for (int64_t slice = first; slice < first + slices; slice++)
            random_normal(&(struct random_key){.stage = RANDOM_REFINE, .slice = slice},
                          x + slice * SLICE, SLICE);
        assert_int_equal(
            sampler_run(sampler, x + first * SLICE, slices * SLICE, &callbacks, &error), 0);
    }
    sampler_destroy(sampler);
}

static void test_batches(void **state)
{
    (void)state;
    struct schedule schedule = make_schedule(NULL, 20, PARAMETERIZATION_EPS);
    static const struct sampler_settings cases[] = {
        {.kind = SAMPLER_DDIM, .steps = 10, .eta = 0.7, .clip = 1, .latent_scale = 0.18215},
        {.kind = SAMPLER_DDPM, .clip = INFINITY, .latent_scale = 1},
        {.kind = SAMPLER_DPM, .steps = 9, .clip = 2, .latent_scale = 3},
    };
    for (int i = 0; i < 3; i++) {
        float whole[SLICES * SLICE], part[SLICES * SLICE];
        run_in_batches(&cases[i], &schedule, SLICES, whole);
        for (int64_t batch = 1; batch < SLICES; batch++) {
            run_in_batches(&cases[i], &schedule, batch, part);
            assert_memory_equal(part, whole, sizeof whole);
        }
    }
    schedule_destroy(&schedule);
}

static int failing_network(void *context, const float *x, int64_t count, double t, float *out,
                           struct error *error)
{
    (void)context;
    memcpy(out, x, (size_t)count * sizeof *out);
    return t < 4 ? error_set(error, "the network fails at %g", t) : 0;
}

static void test_errors(void **state)
{
    (void)state;
    struct schedule schedule = make_schedule(NULL, 12, PARAMETERIZATION_EPS);
    static const struct {
        struct sampler_settings settings;
        const char *reason;
    } cases[] = {
        {{.steps = 5, .clip = 1, .latent_scale = 1}, "4 and 6 do"},
        {{.steps = 4, .clip = 0, .latent_scale = 1}, "clip 0 is not positive"},
        {{.steps = 4, .clip = NAN, .latent_scale = 1}, "clip"},
        {{.steps = 4, .clip = 1, .latent_scale = 0},
         "latent_scale 0 is not between 1e-06 and 1e+06"},
        {{.steps = 4, .clip = 1, .latent_scale = 1e-40}, "latent_scale 1e-40"},
        {{.steps = 4, .clip = 1, .latent_scale = 1e9}, "latent_scale 1e+09"},
        {{.steps = 4, .clip = 1, .latent_scale = INFINITY}, "latent_scale"},
        {{.steps = 4, .clip = 1, .latent_scale = NAN}, "latent_scale"},
        {{.steps = 4, .clip = 1, .latent_scale = 1, .eta = 1.5}, "eta 1.5"},
        {{.steps = 4, .clip = 1, .latent_scale = 1, .eta = NAN}, "eta"},
        {{.steps = 4, .clip = 1, .latent_scale = 1, .start = 12}, "1 to 11 are possible"},
        {{.steps = 4, .clip = 1, .latent_scale = 1, .start = -1}, "1 to 11 are possible"},
        {{.kind = SAMPLER_DPM, .steps = 3, .clip = 1, .latent_scale = 1, .start = 2},
         "the first step is at 4"},
        {{.kind = SAMPLER_DPM, .steps = 12, .clip = 1, .latent_scale = 1}, "not possible"},
        {{.kind = SAMPLER_DDPM, .steps = 6, .clip = 1, .latent_scale = 1}, "takes all 12 steps"},
    };
    struct sampler *sampler;
    struct error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sampler_create(&sampler, &cases[i].settings, &schedule, 4, &error), -1);
        assert_contains(&error, cases[i].reason);
    }

    const struct sampler_settings good = {
        .kind = SAMPLER_DPM, .steps = 11, .clip = 1, .latent_scale = 1};
    sampler = make_sampler(&good, &schedule, 4);
    float x[5] = {0};
    struct constant constant = {.value = NAN};
    struct sampler_callbacks callbacks = {.context = &constant, .network = constant_network};
    assert_int_equal(sampler_run(sampler, x, 5, &callbacks, &error), -1);
    assert_contains(&error, "5 floats for a sampler of 4");
    assert_int_equal(sampler_run(sampler, x, 4, &callbacks, &error), -1);
    assert_contains(&error, "not finite after the step at timestep 11");
    assert_int_equal(constant.calls, 1);

    /* A sampler that failed works again. */
    memset(x, 0, sizeof x);
    callbacks.network = failing_network;
    assert_int_equal(sampler_run(sampler, x, 4, &callbacks, &error), -1);
    assert_string_equal(error.text, "the network fails at 3");
    memset(x, 0, sizeof x);
    constant.value = 0;
    callbacks.network = constant_network;
    assert_int_equal(sampler_run(sampler, x, 4, &callbacks, &error), 0);
    for (int i = 0; i < 4; i++)
        assert_true(x[i] == 0);

    constant.calls = 0;
    progress_interrupt(SIGINT);
    assert_int_equal(sampler_run(sampler, x, 4, &callbacks, &error), -1);
    progress_interrupt(0);
    assert_string_equal(error.text, "interrupted");
    assert_int_equal(constant.calls, 0);
    sampler_destroy(sampler);
    sampler_destroy(NULL);
    schedule_destroy(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),   cmocka_unit_test(test_clip),
        cmocka_unit_test(test_callbacks), cmocka_unit_test(test_batches),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
