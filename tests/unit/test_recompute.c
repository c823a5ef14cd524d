/* What training promises of memory: forward values made again have the same bits, plans keep within
 * their bound, and a plan is the memory that a run takes; and the same bits for any number of
 * threads. The network is a small U-Net on maps that outweigh its weights. */
#include "kernels/cpu/simd.h"
#include "lib/engine/gradient.h"
#include "lib/engine/network.h"
#include "lib/models/loss_layers.h"
#include "lib/models/nhae.h"
#include "lib/models/unet.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char path[] = "testdata/goldens/unet2d_gradients.safetensors";

enum { SAMPLES = 2, CHANNELS = 8, OUT_CHANNELS = 4 };

/* The network's parameters, its inputs, and the gradient of x with the loss behind it. */
struct fixture {
    struct weights *weights;
    struct parameters *parameters;
    int64_t size; /* height and width of the maps */
    float *x, *target, timesteps[SAMPLES], *gradient, loss;
};

static void check(int status, const struct error *error)
{
    if (status)
        fail_msg("%s", error->text);
}

static int64_t count_x(const struct fixture *f)
{
    return SAMPLES * CHANNELS * f->size * f->size;
}

static void open_fixture(struct fixture *f, int64_t size)
{
    struct error error;
    *f = (struct fixture){.size = size, .timesteps = {3, 700}};
    check(weights_open(&f->weights, path, false, &error), &error);
    f->parameters = parameters_create(backend_cpu());
    assert_non_null(f->parameters);
    weights_train(f->weights, f->parameters);
    f->x = kernel_values(DTYPE_F32, count_x(f), 1, 0.0, 1.0);
    f->target = kernel_values(DTYPE_F32, count_x(f) / CHANNELS * OUT_CHANNELS, 2, 0.0, 1.0);
    f->gradient = calloc((size_t)count_x(f), sizeof(float));
    assert_non_null(f->gradient);
}

static void close_fixture(struct fixture *f)
{
    parameters_destroy(f->parameters);
    weights_close(f->weights);
    free(f->x);
    free(f->target);
    free(f->gradient);
}

/* The differentiated graph: inputs x, timesteps, target; outputs loss, gradient of x. */
static struct graph *build(const struct fixture *f, enum dtype activations)
{
    struct error error;
    struct unet_config config;
    struct builder b = {graph_create(activations), f->weights, &error, false};
    check(unet_read(&config, f->weights, &error), &error);
    int x = layer_input(&b, SAMPLES, 1, CHANNELS, f->size, f->size);
    int timesteps = layer_timesteps(&b, SAMPLES);
    int target = layer_input(&b, SAMPLES, 1, OUT_CHANNELS, f->size, f->size);
    int y = unet_build(&b, &config, layer_channels_last(&b, &x, 1, false), timesteps), gradient;
    struct gradient_seed seed = {
        layer_loss(&b, LOSS_L1, y, layer_channels_last(&b, &target, 1, true), 1.0f), -1};
    layer_scalar_output(&b, seed.value);
    check(b.failed ? -1 : 0, &error);
    struct gradient_request request = {&seed, 1, 0, &x, 1};
    check(graph_differentiate(b.graph, &request, &gradient, &error), &error);
    check(graph_output(b.graph, gradient, &error), &error);
    return b.graph;
}

static struct network *create(const struct fixture *f, enum dtype activations, int64_t memory)
{
    struct error error;
    struct network *network;
    check(network_create_training(&network, build(f, activations), backend_cpu(), memory, &error),
          &error);
    return network;
}

static void run(struct fixture *f, struct network *network)
{
    struct error error;
    const void *inputs[] = {f->x, f->timesteps, f->target};
    parameters_clear_gradients(f->parameters);
    check(network_run(network, inputs, (void *const[]){&f->loss, f->gradient}, &error), &error);
}

/* Everything that a run made, one number after another; the caller frees. */
static float *results(const struct fixture *f, int64_t *count)
{
    *count = 1 + count_x(f);
    for (int64_t i = 0; i < f->parameters->count; i++)
        *count += f->parameters->list[i]->count;
    float *all = malloc((size_t)*count * sizeof *all), *to = all;
    assert_non_null(all);
    *to++ = f->loss;
    memcpy(to, f->gradient, (size_t)count_x(f) * sizeof *to);
    to += count_x(f);
    for (int64_t i = 0; i < f->parameters->count; to += f->parameters->list[i++]->count)
        memcpy(to, f->parameters->list[i]->gradient,
               (size_t)f->parameters->list[i]->count * sizeof *to);
    return all;
}

static void check_same(const struct fixture *f, const float *expected, int64_t count)
{
    float *got = results(f, &count);
    assert_memory_equal(got, expected, (size_t)count * sizeof *got);
    free(got);
}

static void check_bounds(enum dtype activations)
{
    static const double share[] = {0.85, 0.75, 0.65};
    struct fixture f;
    open_fixture(&f, 48);
    struct network *network = create(&f, activations, 0);
    int64_t whole = network_memory(network).total, count;
    double flops = graph_flops(network_graph(network));
    run(&f, network);
    float *expected = results(&f, &count);
    network_destroy(network);
    for (size_t i = 0; i < sizeof share / sizeof *share; i++) {
        int64_t bound = (int64_t)(share[i] * (double)whole);
        network = create(&f, activations, bound);
        double more = graph_flops(network_graph(network)) / flops;
        printf("    %.1f of %.1f MiB allowed: %.1f MiB, %.2f times the operations\n",
               (double)bound / (1 << 20), (double)whole / (1 << 20),
               (double)network_memory(network).total / (1 << 20), more);
        assert_true(network_memory(network).total <= bound);
        assert_true(more > 1.0 && more < 4.0 / 3.0);
        run(&f, network);
        check_same(&f, expected, count);
        network_destroy(network);
    }
    free(expected);
    close_fixture(&f);
}

/* A training step costs three forward passes; making them again all but once is at most a third. */
static void test_bounds(void **state)
{
    (void)state;
    check_bounds(DTYPE_F32);
    check_bounds(DTYPE_BF16);
}

static void test_unreachable_bound(void **state)
{
    (void)state;
    struct fixture f;
    struct error error = {""};
    struct network *network;
    open_fixture(&f, 16);
    assert_int_equal(
        network_create_training(&network, build(&f, DTYPE_F32), backend_cpu(), 1000, &error), -1);
    assert_null(network);
    assert_non_null(strstr(error.text, "training needs at least"));
    close_fixture(&f);
}

static void test_threads(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, 12);
    for (int set = 0; kernel_sets[set]; set++)
        for (int type = 0; type < 2; type++) {
            float *expected = NULL;
            int64_t count = 0;
            if (simd_select(kernel_sets[set]))
                continue;
            for (int threads = 1; threads <= 3; threads++) {
                omp_set_num_threads(threads);
                struct network *network = create(&f, type ? DTYPE_BF16 : DTYPE_F32, 0);
                run(&f, network);
                if (expected)
                    check_same(&f, expected, count);
                else
                    expected = results(&f, &count);
                network_destroy(network);
            }
            free(expected);
        }
    close_fixture(&f);
}

/* A network packs its weights anew in every run: after a change it computes what a new one does. */
static void test_weights_change(void **state)
{
    (void)state;
    struct fixture f;
    int64_t count;
    open_fixture(&f, 8);
    struct network *network = create(&f, DTYPE_F32, 0);
    run(&f, network);
    float first = f.loss;
    for (int64_t i = 0; i < f.parameters->count; i++)
        for (int64_t k = 0; k < f.parameters->list[i]->count; k++)
            f.parameters->list[i]->value[k] *= 1.25f;
    run(&f, network);
    assert_true(f.loss != first);
    float *expected = results(&f, &count);
    network_destroy(network);
    network = create(&f, DTYPE_F32, 0);
    run(&f, network);
    check_same(&f, expected, count);
    network_destroy(network);
    free(expected);
    close_fixture(&f);
}

/* kB of a line of /proc/self/status. */
static double status_bytes(const char *key)
{
    char line[256];
    double kilobytes = -1.0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)))
            kilobytes = atof(line + strlen(key) + 1);
    fclose(file);
    return 1024.0 * kilobytes;
}

/* The plan, in pages of 2 MiB at most, is what a run adds to the process. */
static void test_plan_is_memory(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its shadow memory counts too */
#endif
    enum { SIZE = 112 };
    struct error error;
    struct weights *weights;
    struct parameters *parameters = parameters_create(backend_cpu());
    struct encoder3d_config config;
    struct network *network;
    float loss, *volume = kernel_values(DTYPE_F32, SIZE * SIZE * SIZE, 1, 0.0, 1.0);
    check(weights_open(&weights, "testdata/goldens/nhae_gradients.safetensors", false, &error),
          &error);
    weights_train(weights, parameters);
    struct builder b = {graph_create(DTYPE_F32), weights, &error, false};
    check(encoder3d_read(&config, weights, &error), &error);
    int x = layer_input(&b, 1, SIZE, 1, SIZE, SIZE);
    config.whole_maps = true;
    int z = encoder3d_build(&b, &config, layer_channels_last(&b, &x, 1, false));
    struct gradient_seed seed = {layer_loss(&b, LOSS_HINGE_REAL, z, 0, 1.0f), -1};
    layer_scalar_output(&b, seed.value);
    check(b.failed ? -1 : 0, &error);
    struct gradient_request request = {&seed, 1, 0, NULL, 0};
    check(graph_differentiate(b.graph, &request, NULL, &error), &error);
    check(network_create_training(&network, b.graph, backend_cpu(), 0, &error), &error);
    double planned = (double)network_memory(network).total, before = status_bytes("VmRSS:");
    check(network_run(network, (const void *const[]){volume}, (void *const[]){&loss}, &error),
          &error);
    double taken = status_bytes("VmHWM:") - before;
    printf("    planned %.1f MiB, taken %.1f MiB\n", planned / (1 << 20), taken / (1 << 20));
    assert_true(fabs(taken - planned) <= 0.05 * planned);
    network_destroy(network);
    parameters_destroy(parameters);
    weights_close(weights);
    free(volume);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_unreachable_bound),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_weights_change),
        cmocka_unit_test(test_plan_is_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
