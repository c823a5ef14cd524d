/* Differentiating graphs: where it begins and ends, what it refuses; operations that work on the
 * memory of gradients. */
#include "kernels/cpu/cpu.h"
#include "lib/engine/gradient.h"
#include "lib/engine/memory.h"
#include "lib/engine/network.h"
#include "lib/models/loss_layers.h"
#include "tests/unit/device.h"
#include "tests/unit/kernel_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 6, CHANNELS = 2, CODES = 4 };

static const struct tensor scalar = {{1, 1, 1, 1, 1}, DTYPE_F32, CHANNELS_LAST};
static const struct tensor map = {{1, 1, 2, 3, CHANNELS}, DTYPE_F32, CHANNELS_LAST};

static void check(int status, const struct error *error)
{
    if (status)
        fail_msg("%s", error->text);
}

static int add(struct graph *graph, struct operation o, int a, int b, const char *name)
{
    struct error error;
    int value = graph_add(graph, &o, (const int[]){a, b}, b > 0 ? 2 : 1, name, &error);
    check(value < 0 ? -1 : 0, &error);
    return value;
}

static struct operation loss_of(enum loss_kind kind, float weight)
{
    struct operation o = {.kind = OP_LOSS, .output = scalar};
    o.loss = (struct loss){kind, weight};
    return o;
}

/* Zeros in the backend's memory, and what has become of them. */
static float *zeros(int64_t count)
{
    float *memory = memory_create(test_backend(), count);
    assert_non_null(memory);
    return memory;
}

static void take(float *memory, int64_t count, float *to)
{
    test_copy_out(to, memory, (size_t)count * sizeof *to);
    memory_destroy(test_backend(), memory, count);
}

static void run(struct graph *graph, const void *const *inputs, void *const *outputs)
{
    struct error error;
    struct network *network;
    check(network_create_training(&network, graph, test_backend(), 0, &error), &error);
    check(network_run(network, inputs, outputs, &error), &error);
    network_destroy(network);
}

/* 0.25·mean (code − t)²: each code's gradient is 0.5·Σ(code − t)/count over the pixels that hold
 * it; of equal codes (1 and 3) the first one learns. */
static void test_codebook(void **state)
{
    (void)state;
    static const float book[CODES][CHANNELS] = {{1, 2}, {-1, 0.5f}, {3, 3}, {-1, 0.5f}};
    static const int held[PIXELS] = {1, 0, 3, 1, 0, 0};
    float x[PIXELS][CHANNELS], t[PIXELS][CHANNELS], gradient[CODES][CHANNELS], loss;
    double expected[CODES][CHANNELS] = {{0}};
    for (int i = 0; i < PIXELS; i++)
        for (int j = 0; j < CHANNELS; j++) {
            x[i][j] = book[held[i]][j];
            t[i][j] = (float)(i - 2 * j);
            expected[held[i] == 3 ? 1 : held[i]][j] +=
                0.5 * ((double)x[i][j] - t[i][j]) / (PIXELS * CHANNELS);
        }
    struct graph *graph = graph_create(DTYPE_F32);
    struct error error;
    struct operation o = loss_of(LOSS_L2, 0.25f);
    o.weights = 1;
    o.weight[0] = kernel_weight(book, DTYPE_F32, 2, CODES, CHANNELS);
    o.gradient[0] = zeros(CODES * CHANNELS);
    int input = graph_input(graph, map, &error), target = graph_input(graph, map, &error);
    struct gradient_seed seed = {add(graph, o, input, target, "loss"), -1};
    struct gradient_request request = {&seed, 1, 0, &input, 1};
    int of_input;
    check(graph_output(graph, seed.value, &error), &error);
    check(graph_differentiate(graph, &request, &of_input, &error), &error);
    assert_int_equal(of_input, -1);
    run(graph, (const void *const[]){x, t}, (void *const[]){&loss});
    take(o.gradient[0], CODES * CHANNELS, gradient[0]);
    for (int i = 0; i < CODES; i++)
        for (int j = 0; j < CHANNELS; j++) /* three terms below 1, rounded at each step */
            assert_true(fabs(gradient[i][j] - expected[i][j]) <= 8 * 0x1p-24);

    x[2][0] = 7; /* no code */
    struct operation codes = {.kind = OP_CODEBOOK_WEIGHTS, .inputs = 2, .weights = 1};
    codes.input[0] = codes.input[1] = map;
    codes.output = scalar;
    codes.weight[0] = o.weight[0];
    codes.gradient[0] = zeros(CODES * CHANNELS);
    graph = graph_create(DTYPE_F32);
    input = graph_input(graph, map, &error);
    target = graph_input(graph, map, &error);
    add(graph, codes, input, target, "codes");
    struct network *network;
    check(network_create_training(&network, graph, test_backend(), 0, &error), &error);
    assert_int_equal(network_run(network, (const void *const[]){x, t}, NULL, &error), -1);
    assert_non_null(strstr(error.text, "no code"));
    network_destroy(network);
    take(codes.gradient[0], CODES * CHANNELS, gradient[0]);
}

/* y = slope(x): two losses on y, the second weighed by how the first compares with it at y, as the
 * adaptive weight of MODEL.md; only then the way from y to x. */
static void test_two_stages(void **state)
{
    (void)state;
    float x[PIXELS * CHANNELS], dx[PIXELS * CHANNELS];
    for (int i = 0; i < PIXELS * CHANNELS; i++)
        x[i] = (float)(i - 4) + 0.5f;
    struct graph *graph = graph_create(DTYPE_F32);
    struct error error;
    struct operation leaky = {.kind = OP_LEAKY_RELU, .output = map};
    leaky.leaky_relu.slope = 0.5f;
    int input = graph_input(graph, map, &error), y = add(graph, leaky, input, 0, "y");
    int mean = add(graph, loss_of(LOSS_MEAN, 3.0f), y, 0, "mean");
    int hinge = add(graph, loss_of(LOSS_HINGE_FAKE, 1.0f), y, 0, "hinge");
    int of_mean, of_hinge, of_input, first = graph_find(graph, "mean");
    assert_int_equal(first, 1);
    struct gradient_seed seed = {mean, -1};
    struct gradient_request request = {&seed, 1, first, &y, 1};
    check(graph_differentiate(graph, &request, &of_mean, &error), &error);
    seed.value = hinge;
    check(graph_differentiate(graph, &request, &of_hinge, &error), &error);
    struct operation fill = {.kind = OP_FILL, .output = scalar};
    fill.fill.value = 4.0f;
    int factor = graph_add(graph, &fill, NULL, 0, "factor", &error);
    struct operation sum = {.kind = OP_ADD, .output = map};
    sum.add.weight = 0.5f;
    int both = graph_add(graph, &sum, (const int[]){of_mean, of_hinge, factor}, 3, "both", &error);
    struct gradient_seed rest = {y, both};
    request = (struct gradient_request){&rest, 1, 0, &input, 1};
    check(graph_differentiate(graph, &request, &of_input, &error), &error);
    check(graph_output(graph, of_input, &error), &error);
    run(graph, (const void *const[]){x}, (void *const[]){dx});
    for (int i = 0; i < PIXELS * CHANNELS; i++) {
        float slope = x[i] > 0 ? 1.0f : 0.5f, at = x[i] * slope;
        float expected = slope * (3.0f + 2.0f * (at > -1.0f ? 1.0f : 0.0f)) / 12.0f;
        assert_true(fabsf(dx[i] - expected) <= 4 * 0x1p-24f);
    }
}

static void test_adaptive_weight(void **state)
{
    (void)state;
    float gradients[2][3] = {{3, 0, 4}, {0, 2, 0}}, weight;
    struct operation o = {.kind = OP_ADAPTIVE_WEIGHT, .weights = 2, .output = scalar};
    o.adaptive_weight.limit = 1e4f;
    for (int i = 0; i < 2; i++) {
        o.weight[i] = kernel_weight(gradients[i], DTYPE_F32, 1, 3, 1);
        o.gradient[i] = gradients[i];
    }
    float *got = kernel_run(&cpu_adaptive_weight, &o, NULL);
    weight = *got;
    free(got);
    assert_true(fabs(weight - 5.0 / (2.0 + 1e-4)) <= 0x1p-22);
    for (int i = 0; i < 3; i++)
        assert_true(gradients[0][i] == 0.0f && gradients[1][i] == 0.0f);
    gradients[0][0] = 30;
    got = kernel_run(&cpu_adaptive_weight, &o, NULL); /* 30/1e-4 is beyond the limit */
    assert_true(*got == 1e4f);
    free(got);
}

/* Two losses behind a 1×1 convolution: the adaptive weight is the ratio of the norms of what the
 * losses, differentiated one by one, give the kernel. */
static void test_last_layer(void **state)
{
    (void)state;
    float kernel[3][CHANNELS] = {{1, -2}, {0.5f, 3}, {2, 1}}, gradient[2][3 * CHANNELS];
    float *memory[2] = {zeros(3 * CHANNELS), zeros(3 * CHANNELS)};
    float *sums[2] = {zeros(3 * CHANNELS), zeros(3 * CHANNELS)}, x[PIXELS * CHANNELS], weight;
    struct error error;
    for (int i = 0; i < PIXELS * CHANNELS; i++)
        x[i] = (float)(i % 5) - 1.75f;
    for (int which = 0; which < 3; which++) {
        struct builder b = {graph_create(DTYPE_F32), NULL, &error, false};
        struct operation o = {.kind = OP_CONVOLUTION, .weights = 2, .output = map};
        o.convolution = (struct convolution){.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .parts = 1};
        o.weight[0] = (struct weight){kernel, DTYPE_F32, 4, {3, CHANNELS, 1, 1}, false};
        o.gradient[0] = which < 2 ? sums[which] : NULL;
        o.output.shape.c = 3;
        int input = graph_input(b.graph, map, &error);
        int y = graph_add(b.graph, &o, &input, 1, "layer", &error), of_y[2] = {-1, -1};
        int loss[] = {layer_loss(&b, LOSS_HINGE_REAL, y, 0, 1.0f),
                      layer_loss(&b, LOSS_HINGE_FAKE, y, 0, 0.25f)};
        for (int i = 0; i < 2; i++) {
            struct gradient_seed seed = {loss[i], -1};
            struct gradient_request request = {&seed, 1, which < 2 ? 0 : 1, &y, 1};
            if (which == 2 || which == i)
                check(graph_differentiate(b.graph, &request, &of_y[i], &error), &error);
        }
        if (which == 2)
            layer_scalar_output(&b, layer_adaptive_weight(&b, graph_find(b.graph, "layer"), of_y[0],
                                                          of_y[1], memory));
        check(b.failed ? -1 : 0, &error);
        run(b.graph, (const void *const[]){x}, (void *const[]){&weight});
    }
    double norm[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        memory_destroy(test_backend(), memory[i], 3 * CHANNELS);
        take(sums[i], 3 * CHANNELS, gradient[i]);
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3 * CHANNELS; j++)
            norm[i] += pow(gradient[i][j], 2.0);
    double expected = sqrt(norm[0]) / (sqrt(norm[1]) + 1e-4);
    assert_true(norm[1] > 0 && fabs(weight - expected) <= 0x1p-20 * expected);
}

static void refuses(struct graph *graph, int value, const char *word)
{
    struct error error = {""};
    struct gradient_seed seed = {value, -1};
    int wanted = 0, gradient;
    struct gradient_request request = {&seed, 1, 0, &wanted, 1};
    assert_int_equal(graph_differentiate(graph, &request, &gradient, &error), -1);
    if (!strstr(error.text, word))
        fail_msg("\"%s\" is not in \"%s\"", word, error.text);
    graph_destroy(graph);
}

static void test_refusals(void **state)
{
    (void)state;
    struct error error;
    struct graph *graph = graph_create(DTYPE_F32);
    struct operation leaky = {.kind = OP_LEAKY_RELU, .output = map};
    refuses(graph, add(graph, leaky, graph_input(graph, map, &error), 0, "y"), "not a scalar");

    graph = graph_create(DTYPE_F32);
    struct operation embedding = {.kind = OP_TIMESTEP_EMBEDDING, .output = scalar};
    embedding.output.shape.c = 4;
    int input = graph_input(graph, scalar, &error);
    int value = add(graph, embedding, input, 0, "embedding");
    refuses(graph, add(graph, loss_of(LOSS_MEAN, 1.0f), value, 0, "loss"), "embedding: ");

    graph = graph_create(DTYPE_F32);
    input = graph_input(graph, map, &error);
    struct operation sum = {.kind = OP_ADD, .output = map};
    sum.add.weight = 2.0f;
    value = add(graph, sum, input, add(graph, leaky, input, 0, "y"), "weighted");
    refuses(graph, add(graph, loss_of(LOSS_MEAN, 1.0f), value, 0, "loss"), "plain sum");
}

static void test_gather_beyond(void **state)
{
    (void)state;
    float x[PIXELS * CHANNELS] = {0}, numbers[] = {0, 1}, picked[2 * PIXELS * CHANNELS];
    struct error error;
    struct network *network;
    struct graph *graph = graph_create(DTYPE_F32);
    struct operation o = {.kind = OP_GATHER, .output = map};
    struct tensor two = scalar;
    two.shape.n = o.output.shape.d = 2;
    int input = graph_input(graph, map, &error), which = graph_input(graph, two, &error);
    check(graph_output(graph, add(graph, o, input, which, "gather"), &error), &error);
    check(network_create_training(&network, graph, test_backend(), 0, &error), &error);
    assert_int_equal(
        network_run(network, (const void *const[]){x, numbers}, (void *const[]){picked}, &error),
        -1);
    assert_non_null(strstr(error.text, "beyond the last slice"));
    network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codebook),        cmocka_unit_test(test_two_stages),
        cmocka_unit_test(test_adaptive_weight), cmocka_unit_test(test_last_layer),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_gather_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
