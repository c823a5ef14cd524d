/* Inception's features against PyTorch's, in their place in slice_features: resized slices,
 * whatever the batch; and what cannot be made of it.
 *
 * Features are means of sums of some hundred products through twenty layers in f32, Winograd's
 * transforms among them: 2e-6 of their size each (tests/unit/test_winograd.c), 1e-5 together. */
#include "lib/metrics/slice_features.h"
#include "lib/engine/gradient.h"
#include "lib/models/inception.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-5

static const struct stage_settings settings = {NULL, DTYPE_F32};

static struct weights *open_weights(const char *path)
{
    struct weights *weights;
    struct error error = {""};
    if (weights_open(&weights, path, false, &error))
        fail_msg("%s", error.text);
    return weights;
}

/* Features of slices, one after another in f32; the caller frees. */
static float *features_of(struct weights *weights, const float *slices, int64_t count, int64_t rows,
                          int64_t columns, int64_t memory)
{
    struct stage_settings cpu = settings;
    struct slice_features features;
    struct feature_set set = {.keeps_vectors = true};
    struct error error = {""};
    cpu.backend = backend_cpu();
    if (slice_features_open(&features, SLICE_INCEPTION, weights, rows, columns, memory, &cpu,
                            &error))
        fail_msg("%s", error.text);
    assert_true(memory ? features.batch == 1 : features.batch > count);
    for (int64_t i = 0; i < count; i++) {
        memcpy(slice_features_place(&features), slices + i * rows * columns,
               (size_t)(rows * columns) * sizeof *slices);
        assert_int_equal(slice_features_add(&features, &set, &error), 0);
    }
    assert_int_equal(slice_features_flush(&features, &set, &error), 0);
    assert_int_equal(set.count, count);
    float *made = malloc((size_t)(count * set.features) * sizeof *made);
    assert_non_null(made);
    for (int64_t i = 0; i < count * set.features; i++)
        made[i] = (float)set.vector[i];
    feature_set_close(&set);
    slice_features_close(&features);
    return made;
}

static void check_golden(const char *path)
{
    enum { ROWS = 331, COLUMNS = 307 };
    struct safetensors file;
    struct error error = {""};
    struct weights *weights = open_weights(path);
    if (safetensors_open(&file, path, &error))
        fail_msg("%s", error.text);
    const struct safetensor *small = golden_tensor(&file, "in.small"),
                            *of_small = golden_tensor(&file, "out.small"),
                            *of_striped = golden_tensor(&file, "out.striped");
    float *made =
        features_of(weights, small->data, small->shape[0], small->shape[1], small->shape[2], 0);
    float *alone =
        features_of(weights, small->data, small->shape[0], small->shape[1], small->shape[2], 1);
    golden_compare("slices made larger", made, of_small->data, golden_count(of_small), TOLERANCE);
    assert_memory_equal(made, alone, (size_t)golden_count(of_small) * sizeof *made);
    free(made);
    free(alone);
    float *striped = malloc((size_t)(ROWS * COLUMNS) * sizeof *striped);
    assert_non_null(striped);
    for (int64_t i = 0; i < ROWS * COLUMNS; i++)
        striped[i] = (float)((double)((3 * (i % COLUMNS) + 5 * (i / COLUMNS)) % 97) / 48 - 1);
    made = features_of(weights, striped, 1, ROWS, COLUMNS, 0);
    golden_compare("a slice made smaller", made, of_striped->data, golden_count(of_striped),
                   TOLERANCE);
    free(made);
    free(striped);
    safetensors_close(&file);
    weights_close(weights);
}

static void test_golden(void **state)
{
    (void)state;
    assert_true(golden_each("inception", check_golden) >= 1);
}

static void test_networks(void **state)
{
    (void)state;
    struct weights *inception = open_weights("testdata/goldens/inception.safetensors"),
                   *encoder = open_weights("testdata/goldens/encode2d.safetensors"),
                   *other = open_weights("testdata/goldens/unet2d.safetensors");
    enum slice_network network;
    struct error error = {""};
    assert_int_equal(slice_network_find(inception, -1, &network, &error), 0);
    assert_int_equal(network, SLICE_INCEPTION);
    assert_int_equal(slice_network_find(encoder, -1, &network, &error), 0);
    assert_int_equal(network, SLICE_ENCODER);
    assert_int_equal(slice_network_find(encoder, SLICE_ENCODER, &network, &error), 0);
    assert_int_equal(slice_network_find(encoder, SLICE_INCEPTION, &network, &error), -1);
    assert_non_null(strstr(error.text, "holds a 2-D encoder, not the Inception network"));
    assert_int_equal(slice_network_find(inception, SLICE_ENCODER, &network, &error), -1);
    assert_non_null(strstr(error.text, "holds the Inception network, not a 2-D encoder"));
    assert_int_equal(slice_network_find(other, -1, &network, &error), -1);
    assert_non_null(strstr(error.text, "neither"));
    weights_close(inception);
    weights_close(encoder);
    weights_close(other);
}

static void test_sizes(void **state)
{
    (void)state;
    struct weights *weights = open_weights("testdata/goldens/inception.safetensors");
    struct stage_settings cpu = {backend_cpu(), DTYPE_F32};
    struct stage stage;
    struct error error = {""};
    assert_int_equal(stage_inception(&stage, weights, 1, 75, 74, &cpu, &error), -1);
    assert_non_null(strstr(error.text, "75x74"));
    assert_int_equal(stage_inception(&stage, weights, 2, 75, 90, &cpu, &error), 0);
    assert_int_equal(stage.out_d, 2);
    assert_int_equal(stage.out_c, 2048 / 16);
    assert_int_equal(stage.out_h * stage.out_w, 1);
    stage_close(&stage);
    weights_close(weights);
}

/* A gradient is refused with the name of the node. */
static void test_gradient(void **state)
{
    (void)state;
    struct error error = {""};
    struct weights *weights = weights_declare();
    struct builder b = {graph_create(DTYPE_F32), weights, &error, false};
    const struct inception_config config = {.width = 2};
    assert_int_equal(weights_anchor(weights, "", "", "", NULL), 0);
    int x = layer_input(&b, 1, 1, INCEPTION_COLOURS, INCEPTION_LEAST, INCEPTION_LEAST), gradient;
    int y = inception_build(&b, &config, layer_channels_last(&b, &x, 1, true));
    const struct gradient_seed seed = {y, y};
    const struct gradient_request request = {.seed = &seed, .seeds = 1, .wanted = &x, .count = 1};
    assert_int_equal(graph_differentiate(b.graph, &request, &gradient, &error), -1);
    assert_non_null(strstr(error.text, "no gradient"));
    graph_destroy(b.graph);
    weights_close(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
