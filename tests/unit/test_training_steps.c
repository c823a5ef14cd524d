/* Five steps of each training program against PyTorch: which samples are drawn, losses, gradients'
 * norms, weights, both moments, averages (testdata/make-goldens-steps.py). */
#include "lib/training/denoising.h"
#include "lib/training/reconstruction.h"
#include "tests/unit/device.h"
#include "tests/unit/golden.h"
#include "tests/unit/stream_files.h"

#include <math.h>

/* Values of networks differ from those of float64 by 2e-5 and gradients by 1e-4 in relative L2
 * (tests/unit/training.c). Five steps of AdamW move a weight by up to 5·rate and that by as much
 * of itself as the gradients differ; what comes next differs through the weights too, and a square
 * twice as much as a moment. */
static const double loss_tolerance = 1e-4, norm_tolerance = 5e-4, moment_tolerance = 5e-4;

enum { FILES = 8, NAME = 256 };

struct steps {
    struct safetensors file;
    struct dataset data;
    const char *path[FILES];
    char name[FILES][128];
    int files;
    struct weights *weights;
    struct parameters *parameters;
    struct train_options options;
    struct stage_settings stage;
    struct trainer trainer;
    struct training_state state;
    struct error error;
};

static void check(const struct steps *s, int status)
{
    if (status)
        fail_msg("%s", s->error.text);
}

static double number(const struct steps *s, const char *key, double otherwise)
{
    const char *text = safetensors_metadata(&s->file, key);
    return text ? strtod(text, NULL) : otherwise;
}

/* Write a golden's tensor as a file of training data. */
static void add_file(struct steps *s, const char *name)
{
    const struct safetensor *x = safetensors_find(&s->file, name);
    assert_non_null(x);
    struct array array = {.dtype = x->dtype, .rank = x->rank};
    memcpy(array.shape, x->shape, (size_t)x->rank * sizeof x->shape[0]);
    snprintf(s->name[s->files], sizeof s->name[0], "%s/%s.npy", directory, name);
    s->path[s->files] = s->name[s->files];
    unsigned char *data = (unsigned char *)(uintptr_t)x->data;
    write_arrays(s->path[s->files++], &array, &data, 1);
}

static void begin(struct steps *s, const char *path)
{
    *s = (struct steps){.stage = {test_backend(), DTYPE_F32}};
    check(s, safetensors_open(&s->file, path, &s->error));
    check(s, weights_open(&s->weights, path, false, &s->error));
    s->parameters = parameters_create(test_backend());
    assert_non_null(s->parameters);
    weights_train(s->weights, s->parameters);
    s->options = (struct train_options){.batch = (int64_t)number(s, "batch", 0),
                                        .accumulate = (int64_t)number(s, "accumulate", 0),
                                        .seed = (int64_t)number(s, "seed", 0),
                                        .warm_up = (int64_t)number(s, "warm_up", 0),
                                        .rate = number(s, "rate", 0),
                                        .ema = number(s, "average", 0)};
}

static void make_state(struct steps *s)
{
    const struct adamw_settings settings = {0.9, number(s, "beta2", 0), number(s, "epsilon", 0),
                                            number(s, "decay", 0), number(s, "bound", 0)};
    for (int i = 0; i < STATE_SETS && s->trainer.parameters[i]; i++) {
        s->state.parameters[i] = s->trainer.parameters[i];
        check(s, adamw_create(&s->state.adamw[i], s->state.parameters[i], &settings, &s->error));
        s->state.sets++;
    }
    if (s->options.ema > 0)
        check(s, ema_create(&s->state.ema, s->parameters, s->options.ema, &s->error));
}

/* Numbers below 1 differ absolutely. */
static void expect_near(const char *what, int step, double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fmax(fabs(expected), 1.0)))
        fail_msg("step %d: %s is %.9g, not %.9g", step + 1, what, got, expected);
}

static void run_steps(struct steps *s)
{
    const float *expected = golden_tensor(&s->file, "out.losses")->data;
    const float *norms = golden_tensor(&s->file, "out.norms")->data;
    for (int step = 0; step < (int)number(s, "steps", 0); step++) {
        double losses[TRAINER_LOSSES], norm;
        check(s, train_step(&s->state, &s->trainer, &s->options, losses, &norm, &s->error));
        for (int i = 0; s->trainer.losses[i]; i++)
            expect_near(s->trainer.losses[i], step, losses[i], (double)*expected++, loss_tolerance);
        expect_near("the gradient's norm", step, norm, (double)norms[step], norm_tolerance);
    }
}

/* The golden's tensor of that kind for a parameter. */
static const float *find(const struct steps *s, const char *kind, const struct parameter *p)
{
    char name[NAME];
    const char *from = strstr(p->name, "weights.");
    assert_ptr_equal(from, p->name);
    snprintf(name, sizeof name, "out.%s.%s", kind, from + strlen("weights."));
    const struct safetensor *x = golden_tensor(&s->file, name);
    assert_int_equal(golden_count(x), p->count);
    return x->data;
}

/* All tensors of a kind, one after another, against the golden's; `before`: less the weights that
 * training began with. */
static void compare(const struct steps *s, const char *kind, const struct parameters *parameters,
                    const float *got, bool before, double tolerance)
{
    int64_t count = parameters_learning(parameters), at = 0;
    float *x = malloc((size_t)count * sizeof *x), *y = malloc((size_t)count * sizeof *y);
    assert_true(x && y);
    for (int64_t i = 0; i < parameters->count; i++) {
        const struct parameter *p = parameters->list[i];
        if (!p->gradient)
            continue;
        const float *expected = find(s, kind, p);
        const float *start = before ? golden_tensor(&s->file, p->name)->data : NULL;
        test_copy_out(x + at, got ? got + at : p->value, (size_t)p->count * sizeof *x);
        for (int64_t k = 0; k < p->count; k++, at++) {
            x[at] -= start ? start[k] : 0.0f;
            y[at] = expected[k] - (start ? start[k] : 0.0f);
        }
    }
    golden_compare(kind, x, y, count, tolerance);
    free(x);
    free(y);
}

/* What is learned is what the golden holds, no more and no less. */
static void compare_state(const struct steps *s)
{
    int64_t expected = 0, learned = 0;
    for (int64_t i = 0; i < s->file.count; i++)
        expected += !strncmp(s->file.tensor[i].name, "out.value.", 10);
    for (int k = 0; k < s->state.sets; k++) {
        const struct parameters *p = s->state.parameters[k];
        for (int64_t i = 0; i < p->count; i++)
            learned += p->list[i]->gradient != NULL;
        compare(s, "value", p, NULL, true, moment_tolerance);
        compare(s, "moment1", p, s->state.adamw[k].m, false, moment_tolerance);
        compare(s, "moment2", p, s->state.adamw[k].v, false, 2 * moment_tolerance);
    }
    assert_int_equal(learned, expected);
    if (s->state.ema.parameters)
        compare(s, "average", s->parameters, s->state.ema.average, true, moment_tolerance);
}

static void end(struct steps *s)
{
    state_destroy(&s->state);
    parameters_destroy(s->parameters);
    weights_close(s->weights);
    dataset_close(&s->data);
    safetensors_close(&s->file);
    for (int i = 0; i < s->files; i++)
        unlink(s->path[i]);
}

static enum reconstruction_kind kind;

static void reconstruction(const char *path)
{
    struct steps s;
    struct reconstruction *trained;
    begin(&s, path);
    add_file(&s, "in.volume");
    check(&s, dataset_open(&s.data, s.path, s.files, 0, &s.error));
    struct reconstruction_settings settings = {
        .kind = kind,
        .crop = {(int64_t)number(&s, "crop0", 0), (int64_t)number(&s, "crop1", 0),
                 (int64_t)number(&s, "crop2", 0)},
        .encoder = kind == RECONSTRUCT_MULTISLICE ? path : NULL,
        .discriminator = path,
        .lpips = safetensors_find(&s.file, "weights.perceptual.net.slice1.0.weight") ? path : NULL,
        .adversarial_start = (int64_t)number(&s, "adversarial_start", 0)};
    check(&s, reconstruction_open(&trained, s.weights, s.parameters, &s.data, &settings, &s.options,
                                  &s.stage, &s.error));
    reconstruction_trainer(trained, &s.trainer);
    make_state(&s);
    run_steps(&s);
    compare_state(&s);
    reconstruction_close(trained);
    end(&s);
}

static void test_autoencoder2d(void **state)
{
    (void)state;
    kind = RECONSTRUCT_AUTOENCODER2D;
    assert_true(golden_each("steps_autoencoder2d", reconstruction) > 0);
}

static void test_nhae(void **state)
{
    (void)state;
    kind = RECONSTRUCT_NHAE;
    assert_true(golden_each("steps_nhae", reconstruction) > 0);
}

static void test_multislice(void **state)
{
    (void)state;
    kind = RECONSTRUCT_MULTISLICE;
    assert_true(golden_each("steps_multislice", reconstruction) > 0);
}

static int dims;

static void denoising(const char *path)
{
    struct steps s;
    struct denoising *trained;
    char name[16];
    double scale = NAN, clip = NAN;
    begin(&s, path);
    for (int i = 0; snprintf(name, sizeof name, "in.z%d", i), safetensors_find(&s.file, name); i++)
        add_file(&s, name);
    check(&s, dataset_open(&s.data, s.path, s.files, 4, &s.error));
    struct denoising_settings settings = {.squared = number(&s, "squared", 0) != 0.0};
    check(&s, denoising_open(&trained, s.weights, s.parameters, &s.data, dims, &settings,
                             &s.options, &s.stage, &s.error));
    check(&s, weights_metadata_real(s.weights, "latent_scale", 0, &scale, &s.error));
    check(&s, weights_metadata_real(s.weights, "clip", 0, &clip, &s.error));
    golden_compare("latent_scale", &(float){(float)scale},
                   golden_tensor(&s.file, "out.latent_scale")->data, 1, 1e-6);
    golden_compare("clip", &(float){(float)clip}, golden_tensor(&s.file, "out.clip")->data, 1,
                   1e-6);
    denoising_trainer(trained, &s.trainer);
    make_state(&s);
    run_steps(&s);
    compare_state(&s);
    denoising_close(trained);
    end(&s);
}

static void test_refiner(void **state)
{
    (void)state;
    dims = 2;
    assert_true(golden_each("steps_refiner", denoising) > 0);
}

static void test_ldm3d(void **state)
{
    (void)state;
    dims = 3;
    assert_true(golden_each("steps_ldm3d", denoising) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_autoencoder2d), cmocka_unit_test(test_nhae),
        cmocka_unit_test(test_multislice),    cmocka_unit_test(test_refiner),
        cmocka_unit_test(test_ldm3d),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
