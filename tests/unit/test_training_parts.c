/* What a training run is made of: order, data, log, checkpoints, steps. */
#include "lib/training/codebook.h"
#include "lib/training/dataset.h"
#include "lib/training/order.h"
#include "lib/training/train_log.h"
#include "lib/training/train_loop.h"
#include "tests/unit/stream_files.h"

#include <math.h>
#include <omp.h>

static struct error error;

static void check(int status)
{
    if (status < 0)
        fail_msg("%s", error.text);
}

/* Each epoch sees every item once, in another order; the order is a function of the place alone. */
static void test_order(void **state)
{
    (void)state;
    enum { ITEMS = 50, EPOCHS = 3 };
    struct order order, other;
    int64_t item[EPOCHS * ITEMS];
    int moved = 0;
    check(order_create(&order, 7, ITEMS, &error));
    for (int64_t n = 0; n < EPOCHS * ITEMS; n++)
        item[n] = order_item(&order, n);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        bool seen[ITEMS] = {false};
        for (int i = 0; i < ITEMS; i++) {
            int64_t here = item[epoch * ITEMS + i];
            assert_in_range(here, 0, ITEMS - 1);
            assert_false(seen[here]);
            seen[here] = true;
            moved += here != item[(epoch + 1) % EPOCHS * ITEMS + i];
        }
    }
    assert_true(moved > 2 * ITEMS);
    check(order_create(&other, 7, ITEMS, &error));
    for (int64_t n = EPOCHS * ITEMS - 1; n >= 0; n -= 37)
        assert_int_equal(order_item(&other, n), item[n]);
    order_destroy(&other);
    check(order_create(&other, 8, ITEMS, &error));
    moved = 0;
    for (int64_t n = 0; n < ITEMS; n++)
        moved += order_item(&other, n) != item[n];
    assert_true(moved > ITEMS / 2);
    order_destroy(&other);
    order_destroy(&order);
}

static void test_below(void **state)
{
    (void)state;
    int count[6] = {0};
    for (int64_t i = 0; i < 6000; i++) {
        int64_t number = order_below(1, ORDER_TIMESTEP, i / 100, i / 10 % 10, i % 10, 6);
        assert_in_range(number, 0, 5);
        count[number]++;
    }
    for (int i = 0; i < 6; i++) /* 1000 of each, deviation 29 */
        assert_in_range(count[i], 1000 - 6 * 29, 1000 + 6 * 29);
}

static struct array volume_of(enum dtype dtype, int64_t d, int64_t h, int64_t w)
{
    struct array array = {.dtype = dtype, .rank = 3, .shape = {d, h, w}};
    return array;
}

/* Bytes and floats, marked and bare, in one file; boxes with all flips against plain loops. */
static void test_dataset_boxes(void **state)
{
    (void)state;
    enum { D = 3, H = 4, W = 5 };
    uint8_t bytes[D * H * W];
    float floats[D * H * W], box[D * H * W];
    struct array array[2] = {volume_of(DTYPE_U8, D, H, W), volume_of(DTYPE_F32, D, H, W)};
    struct dataset data;
    const char *path = path_of("volumes.npy");
    random_bytes(bytes, sizeof bytes);
    for (int i = 0; i < D * H * W; i++)
        floats[i] = (float)bytes[i] / 127.5f - 1.0f;
    array[0].marked = true;
    write_arrays(path, array, (unsigned char *const[]){bytes, (unsigned char *)floats}, 2);
    check(dataset_open(&data, &path, 1, 0, &error));
    assert_int_equal(data.count, 2);
    assert_int_equal(dataset_slices(&data, 0, 2), 2 * D);
    for (int flips = 0; flips < 8; flips++)
        for (int k = 0; k < 2; k++) {
            struct dataset_box b = {{1, 0, 2}, {2, 4, 3}, {flips & 1, flips & 2, flips & 4}};
            dataset_read_box(&data.list[k], &b, box);
            for (int d = 0; d < 2; d++)
                for (int h = 0; h < 4; h++)
                    for (int w = 0; w < 3; w++) {
                        int z = b.flip[0] ? 2 - d : 1 + d, y = b.flip[1] ? 3 - h : h;
                        int x = b.flip[2] ? 4 - w : 2 + w;
                        assert_true(box[(d * 4 + h) * 3 + w] == floats[(z * H + y) * W + x]);
                    }
        }
    int64_t where, slice;
    dataset_locate(&data, 0, 4, &where, &slice);
    assert_int_equal(where, 1);
    assert_int_equal(slice, 1);
    dataset_close(&data);
    unlink(path);
}

static void test_dataset_latents(void **state)
{
    (void)state;
    float z[2 * 16], slice[16];
    double deviation, largest;
    struct array array = {.dtype = DTYPE_F32, .rank = 4, .shape = {2, 4, 2, 2}};
    struct dataset data;
    const char *path = path_of("z.npy");
    for (int i = 0; i < 32; i++)
        z[i] = i % 2 ? 3.0f : -1.0f;
    write_arrays(path, &array, (unsigned char *const[]){(unsigned char *)z}, 1);
    check(dataset_open(&data, &path, 1, 4, &error));
    check(dataset_measure(&data, 0, 1, &deviation, &largest, &error));
    assert_true(fabs(deviation - 2.0) < 1e-12 && largest == 3.0);
    dataset_read(&data.list[0], 1, 1, slice);
    assert_memory_equal(slice, z + 16, sizeof slice);
    dataset_close(&data);
    assert_int_equal(dataset_open(&data, &path, 1, 0, &error), -1);
    assert_non_null(strstr(error.text, "z.npy: a volume"));
    z[31] = NAN;
    write_arrays(path, &array, (unsigned char *const[]){(unsigned char *)z}, 1);
    check(dataset_open(&data, &path, 1, 4, &error));
    assert_int_equal(dataset_measure(&data, 0, 1, &deviation, &largest, &error), -1);
    dataset_close(&data);
    unlink(path);
}

/* A cut or changed marked file is refused, wherever it is cut. */
static void test_dataset_damage(void **state)
{
    (void)state;
    uint8_t bytes[8] = {1, 2, 3};
    struct array array = volume_of(DTYPE_U8, 2, 2, 2);
    struct dataset data;
    const char *path = path_of("v.npy");
    array.marked = true;
    write_arrays(path, &array, (unsigned char *const[]){bytes}, 1);
    size_t size;
    unsigned char *whole = load_bytes(path, &size);
    for (size_t cut = 0; cut < size; cut += 7) {
        save_bytes(path, whole, cut);
        assert_int_equal(dataset_open(&data, &path, 1, 0, &error), -1);
    }
    size_t payload = (size_t)((whole[8] | whole[9] << 8) + 10);
    whole[payload + 1] ^= 4;
    save_bytes(path, whole, size);
    assert_int_equal(dataset_open(&data, &path, 1, 0, &error), -1);
    assert_non_null(strstr(error.text, "checksum"));
    unlink(path);
    assert_int_equal(dataset_open(&data, &path, 1, 0, &error), -1);
    free(whole);
}

static void expect_text(const char *path, const char *expected)
{
    size_t size;
    char *text = (char *)load_bytes(path, &size);
    text[size] = 0;
    assert_string_equal(text, expected);
    free(text);
}

/* Rows are means; a continued log drops what comes after the step that it goes on from. */
static void test_log(void **state)
{
    (void)state;
    static const char *const columns[] = {"loss", "validation", NULL};
    struct train_log log;
    const char *path = path_of("log.tsv");
    check(train_log_open(&log, path, columns, 0, &error));
    train_log_add(&log, 0, 1.0);
    train_log_add(&log, 0, 2.0);
    check(train_log_row(&log, 2, &error));
    for (int step = 4; step <= 12; step += 4) {
        train_log_add(&log, 0, step);
        train_log_add(&log, 1, 0.25);
        check(train_log_row(&log, step, &error));
    }
    train_log_close(&log);
    expect_text(path, "step\tloss\tvalidation\n2\t1.5\t\n4\t4\t0.25\n8\t8\t0.25\n12\t12\t0.25\n");
    check(train_log_open(&log, path, columns, 8, &error));
    train_log_add(&log, 0, 9.0);
    check(train_log_row(&log, 9, &error));
    train_log_close(&log);
    expect_text(path, "step\tloss\tvalidation\n2\t1.5\t\n4\t4\t0.25\n8\t8\t0.25\n9\t9\t\n");
    check(train_log_open(&log, path, columns, 0, &error));
    train_log_close(&log);
    expect_text(path, "step\tloss\tvalidation\n");
    unlink(path);
}

/* A trainer that fits a parameter of three numbers to targets: loss ½·Σ(x − target)². */
struct fit {
    struct parameters *parameters;
    float target[3];
    double blow_up; /* factor of the loss from step 150 on */
};

static int fit_compute(void *context, int64_t step, int64_t part, double *losses, struct error *e)
{
    (void)e;
    const struct fit *fit = context;
    const struct parameter *p = fit->parameters->list[0];
    losses[0] = 0.01;
    for (int i = 0; i < 3; i++) {
        float distance = p->value[i] - fit->target[i] + (part ? 0.5f : -0.5f);
        p->gradient[i] += distance;
        losses[0] += 0.5 * (double)(distance * distance);
    }
    if (step >= 150 && fit->blow_up != 0.0)
        losses[0] *= fit->blow_up;
    return 0;
}

static const struct train_options fit_options = {.accumulate = 2, .rate = 0.1, .warm_up = 3};

static void begin(struct fit *fit, struct training_state *s, struct trainer *trainer)
{
    static const char *const losses[] = {"loss", NULL};
    static const float start[3] = {1, 2, 3};
    const struct adamw_settings settings = {0.9, 0.999, 1e-8, 0.01, INFINITY};
    struct weight weight = {.data = start, .dtype = DTYPE_F32, .rank = 1, .shape = {3}};
    *fit = (struct fit){parameters_create(backend_cpu()), {-1, 0, 0.5f}, 0.0};
    assert_non_null(fit->parameters);
    struct parameter *p = parameters_add(fit->parameters, "model.x.weight", &weight, &error);
    assert_non_null(p);
    check(parameters_want_gradient(fit->parameters, p, &error));
    assert_non_null(parameters_add(fit->parameters, "model.frozen", &weight, &error));
    *s = (struct training_state){.sets = 1, .parameters = {fit->parameters}};
    check(adamw_create(&s->adamw[0], fit->parameters, &settings, &error));
    check(ema_create(&s->ema, fit->parameters, 0.9, &error));
    *trainer = (struct trainer){.context = fit, .losses = losses, .compute = fit_compute};
}

static void end(struct fit *fit, struct training_state *s)
{
    state_destroy(s);
    parameters_destroy(fit->parameters);
}

static int run(struct training_state *s, const struct trainer *trainer, int steps)
{
    double loss, norm;
    for (int i = 0; i < steps; i++)
        if (train_step(s, trainer, &fit_options, &loss, &norm, &error))
            return -1;
    return 0;
}

/* 30 steps, or 13, a checkpoint, and 17 in another state: the same bits. */
static void test_checkpoint(void **state)
{
    (void)state;
    struct fit whole, first, second;
    struct training_state a, b, c;
    struct trainer trainer;
    const char *path = path_of("x.checkpoint");
    begin(&whole, &a, &trainer);
    check(run(&a, &trainer, 30));
    begin(&first, &b, &trainer);
    assert_int_equal(state_load(&b, "fit", path, &error), 0);
    check(run(&b, &trainer, 13));
    first.parameters->list[1]->value[2] = 77.0f;
    check(state_save(&b, "fit", path, &error));
    begin(&second, &c, &trainer);
    assert_int_equal(state_load(&c, "fit -q", path, &error), -1);
    assert_non_null(strstr(error.text, "another run (fit)"));
    assert_int_equal(state_load(&c, "fit", path, &error), 1);
    assert_int_equal(c.step, 13);
    assert_true(second.parameters->list[1]->value[2] == 77.0f);
    check(run(&c, &trainer, 17));
    assert_int_equal(c.step, 30);
    assert_memory_equal(second.parameters->list[0]->value, whole.parameters->list[0]->value, 12);
    assert_memory_equal(c.adamw[0].m, a.adamw[0].m, 12);
    assert_memory_equal(c.adamw[0].v, a.adamw[0].v, 12);
    assert_memory_equal(c.ema.average, a.ema.average, 12);
    assert_memory_equal(c.number, a.number, sizeof a.number);
    end(&whole, &a);
    end(&first, &b);
    end(&second, &c);
    unlink(path);
}

static void test_divergence(void **state)
{
    (void)state;
    static const double factors[] = {1e4, (double)NAN, (double)INFINITY};
    static const char *const words[] = {"the loss is", "not finite", "not finite"};
    for (int i = 0; i < 3; i++) {
        struct fit fit;
        struct training_state s;
        struct trainer trainer;
        begin(&fit, &s, &trainer);
        fit.blow_up = factors[i];
        check(run(&s, &trainer, 150));
        float before[3];
        memcpy(before, fit.parameters->list[0]->value, sizeof before);
        assert_int_equal(run(&s, &trainer, 1), -1);
        assert_non_null(strstr(error.text, "diverged at step 151"));
        assert_non_null(strstr(error.text, words[i]));
        assert_memory_equal(fit.parameters->list[0]->value, before, sizeof before);
        end(&fit, &s);
    }
}

/* Codes move to latents at hand, one in 64 at each step, others stay; which is a function of seed
 * and step. */
static void test_codebook(void **state)
{
    (void)state;
    enum { CODES = 6400, C = 3, MAPS = 2, PLANE = 5, STEPS = 40 };
    static float code[2][CODES * C];
    float z[MAPS * C * PLANE];
    struct codebook_latents latents = {z, MAPS, C, PLANE};
    struct parameter codebook = {.rank = 2, .shape = {CODES, C}, .count = CODES * C};
    int moved = 0, met[MAPS * PLANE] = {0};
    for (int i = 0; i < MAPS * C * PLANE; i++) /* map, channel and place of each value */
        z[i] = (float)(1 + i);
    for (int run = 0; run < 2; run++) {
        codebook.value = code[run];
        memset(code[run], 0, sizeof code[run]);
        for (int64_t step = 0; step < STEPS; step++)
            check(codebook_follow(&codebook, backend_cpu(), &latents, 9, step, &error));
    }
    assert_memory_equal(code[0], code[1], sizeof code[0]);
    for (int i = 0; i < CODES; i++) {
        const float *e = &code[0][i * C];
        int at = (int)e[0] - 1, map = at / (C * PLANE), pixel = at % (C * PLANE);
        if (e[0] == 0.0f)
            continue;
        moved++;
        met[map * PLANE + pixel]++;
        for (int j = 0; j < C; j++)
            assert_float_equal(e[j], z[(map * C + j) * PLANE + pixel], 0.0f);
    }
    /* Both counts are binomial; six deviations. */
    double share = 1.0 - pow(63.0 / 64.0, STEPS), each = moved / (double)(MAPS * PLANE);
    assert_true(fabs(moved - share * CODES) < 6.0 * sqrt(CODES * share * (1.0 - share)));
    for (int i = 0; i < MAPS * PLANE; i++)
        assert_true(fabs(met[i] - each) < 6.0 * sqrt(each));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_below),
        cmocka_unit_test(test_dataset_boxes),  cmocka_unit_test(test_dataset_latents),
        cmocka_unit_test(test_dataset_damage), cmocka_unit_test(test_log),
        cmocka_unit_test(test_checkpoint),     cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_codebook),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
