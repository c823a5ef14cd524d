/* Calls of a network that are under way together, batches that fill a device, and what a network
 * says when its backend fails. Without a device the queue is one that does everything at once. */
#include "lib/engine/filling.h"
#include "lib/engine/memory.h"
#include "lib/engine/network.h"
#include "tests/unit/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, HEIGHT = 5, WIDTH = 7, PIXELS = CHANNELS * HEIGHT * WIDTH, CALLS = 9 };
static const struct shape map = {1, 1, HEIGHT, WIDTH, CHANNELS};

static struct {
    const char
        *fails; /* the reason of a queue that has failed, after so many calls of await, wait */
    int after, recordings;
    bool no_memory, copy_fails;
} host;

static const char *host_copy(enum lane lane, void *to, const void *from, size_t bytes)
{
    (void)lane;
    if (host.copy_fails)
        return "unspecified launch failure";
    memcpy(to, from, bytes);
    return NULL;
}

static const char *host_clear(void *memory, size_t bytes)
{
    memset(memory, 0, bytes);
    return NULL;
}

static const char *host_wait(void)
{
    return host.fails && host.after-- <= 0 ? host.fails : NULL;
}

static const char *host_follow(enum lane lane, enum lane before)
{
    return lane == before ? "a lane follows itself" : NULL;
}

static const char *host_mark(void **mark)
{
    if (!*mark)
        *mark = malloc(1);
    return *mark ? NULL : "out of memory";
}

static const char *host_await(void *mark)
{
    return mark ? host_wait() : "there is no mark";
}

static const char *host_record_begin(void)
{
    host.recordings++;
    return "nothing can be recorded";
}

static void *host_memory(size_t bytes)
{
    return malloc(bytes);
}

/* The CPU's kernels behind a queue. */
static struct backend queued_backend(void)
{
    static const struct queue queue = {.copy = host_copy,
                                       .clear = host_clear,
                                       .wait = host_wait,
                                       .follow = host_follow,
                                       .mark = host_mark,
                                       .await = host_await,
                                       .unmark = free,
                                       .record_begin = host_record_begin,
                                       .host_allocate = host_memory,
                                       .host_release = free};
    struct backend backend = *backend_cpu();
    backend.queue = &queue;
    memset(&host, 0, sizeof host);
    return backend;
}

/* Slice-major → channels-last → ×2 → slice-major. */
static struct network *make_network(const struct backend *backend)
{
    struct error error;
    struct network *network;
    struct graph *graph = graph_create(DTYPE_F32);
    struct shape large = {1, 1, 2 * HEIGHT, 2 * WIDTH, CHANNELS};
    struct operation in = {.kind = OP_TO_CHANNELS_LAST, .output = {map, DTYPE_F32, CHANNELS_LAST}};
    struct operation up = {.kind = OP_RESAMPLE,
                           .resample = {RESAMPLE_UP, false, false},
                           .output = {large, DTYPE_F32, CHANNELS_LAST}};
    struct operation out = {.kind = OP_TO_SLICE_MAJOR, .output = {large, DTYPE_F32, SLICE_MAJOR}};
    int v = graph_input(graph, (struct tensor){map, DTYPE_F32, SLICE_MAJOR}, &error);
    v = graph_add(graph, &in, &v, 1, "in", &error);
    v = graph_add(graph, &up, &v, 1, "up", &error);
    v = graph_add(graph, &out, &v, 1, "out", &error);
    assert_int_equal(graph_output(graph, v, &error), 0);
    if (network_create(&network, graph, backend, &error))
        fail_msg("%s", error.text);
    return network;
}

static float value_of(int call, int64_t i)
{
    return (float)(call * PIXELS + i);
}

static void fill(float *x, int call)
{
    for (int64_t i = 0; i < PIXELS; i++)
        x[i] = value_of(call, i);
}

static void check_output(const float *y, int call)
{
    for (int64_t c = 0; c < CHANNELS; c++)
        for (int64_t h = 0; h < 2 * HEIGHT; h++)
            for (int64_t w = 0; w < 2 * WIDTH; w++)
                assert_true(y[(c * 2 * HEIGHT + h) * 2 * WIDTH + w] ==
                            value_of(call, (c * HEIGHT + h / 2) * WIDTH + w / 2));
}

/* Each call has its own result, however many are under way, and buffers that are used again. */
static void run_calls(const struct backend *backend, bool overlap)
{
    struct network *network = make_network(backend);
    struct error error;
    int64_t alone = network_memory(network).total;
    int calls = overlap ? network_overlap(network) : 1, ended = 0;
    float *x = memory_host_create(backend, calls * PIXELS * (int64_t)sizeof *x);
    float *y = memory_host_create(backend, calls * 4 * PIXELS * (int64_t)sizeof *y);
    assert_true(x && y);
    assert_int_equal(calls, overlap && backend->queue ? NETWORK_CALLS : 1);
    assert_int_equal(network_memory(network).total > alone, calls > 1);
    for (int k = 0; k <= CALLS; k++) {
        for (; ended < k && (k == CALLS || k - ended == calls); ended++) {
            assert_int_equal(network_finish(network, &error), 0);
            check_output(y + ended % calls * 4 * PIXELS, ended);
        }
        if (k == CALLS)
            break;
        fill(x + k % calls * PIXELS, k);
        assert_int_equal(network_start(network, (const void *const[]){x + k % calls * PIXELS},
                                       (void *const[]){y + k % calls * 4 * PIXELS}, &error),
                         0);
    }
    network_destroy(network);
    memory_host_destroy(backend, x);
    memory_host_destroy(backend, y);
}

static void test_calls(void **state)
{
    (void)state;
    struct backend queued = queued_backend();
    for (int overlap = 0; overlap < 2; overlap++) {
        run_calls(test_backend(), overlap);
        run_calls(&queued, overlap);
    }
    assert_int_equal(host.recordings, 2); /* once a network, after its first call */
}

static void test_too_many_calls(void **state)
{
    (void)state;
    struct network *network = make_network(backend_cpu());
    struct error error;
    float x[PIXELS] = {0}, y[4 * PIXELS];
    const void *inputs[] = {x};
    void *outputs[] = {y};
    assert_int_equal(network_start(network, inputs, outputs, &error), 0);
    assert_int_equal(network_start(network, inputs, outputs, &error), -1);
    assert_int_equal(network_run(network, inputs, outputs, &error), -1);
    assert_string_equal(error.text, "calls are under way");
    assert_int_equal(network_finish(network, &error), 0);
    assert_int_equal(network_run(network, inputs, outputs, &error), 0);
    network_destroy(network);
}

static void *no_memory(size_t bytes)
{
    return host.no_memory ? NULL : backend_cpu()->allocate(bytes);
}

static const char *broken_run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)state, (void)inputs, (void)output, (void)workspace;
    return host.no_memory ? "out of memory" : "it broke";
}

/* Run, and give the reason why that fails. */
static void expect_failure(const struct backend *backend, bool prepared, struct error *error)
{
    struct network *network = make_network(backend);
    float x[PIXELS] = {0}, y[4 * PIXELS];
    host.no_memory = false;
    if (prepared)
        assert_int_equal(network_prepare(network, error), 0);
    host.no_memory = true;
    assert_int_equal(network_run(network, (const void *const[]){x}, (void *const[]){y}, error), -1);
    network_destroy(network);
}

/* Out of memory: what the plan needs, and the option that bounds it; the operation, too, where it
 * is the one that asked. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct backend backend = queued_backend();
    struct error error;
    backend.allocate = no_memory;
    expect_failure(&backend, false, &error);
    assert_int_equal(strncmp(error.text, "out of memory: the plan needs ", 30), 0);
    assert_non_null(strstr(error.text, "MiB (weights 0.0, arena 0.0); --memory bounds it"));
    struct kernel broken = *backend.kernel[OP_RESAMPLE];
    broken.run = broken_run;
    backend.kernel[OP_RESAMPLE] = &broken;
    expect_failure(&backend, true, &error);
    assert_int_equal(strncmp(error.text, "up (1×1×5×7×3): out of memory: the plan needs ", 30), 0);
    assert_non_null(strstr(error.text, "--memory"));
}

/* A failure is said with the operation and its shape; one that a queue finds later, with how many
 * operations there were. */
static void test_failures(void **state)
{
    (void)state;
    struct backend backend = queued_backend();
    struct error error;
    struct network *network = make_network(&backend);
    float x[PIXELS] = {0}, y[4 * PIXELS];
    const void *inputs[] = {x};
    void *outputs[] = {y};
    host.fails = "an illegal memory access was encountered";
    host.after = 4; /* three nodes are prepared, one has run */
    assert_int_equal(network_run(network, inputs, outputs, &error), -1);
    assert_string_equal(error.text, "up (1×1×5×7×3): an illegal memory access was encountered");
    network_destroy(network);
    network = make_network(&backend);
    host.fails = NULL;
    assert_int_equal(network_run(network, inputs, outputs, &error), 0);
    host.fails = "an illegal memory access was encountered";
    host.after = 0;
    assert_int_equal(network_run(network, inputs, outputs, &error), -1);
    assert_string_equal(error.text,
                        "3 operations from in (1×1×5×7×3): an illegal memory access was "
                        "encountered");
    host.fails = NULL;
    host.copy_fails = true;
    assert_int_equal(network_run(network, inputs, outputs, &error), -1);
    assert_string_equal(error.text, "copying to the device, 3 operations from in (1×1×5×7×3): "
                                    "unspecified launch failure");
    network_destroy(network);
}

/* A graph of convolutions of `slices` slices: 16² positions to 192 channels, 8² to `channels`. */
static struct graph *two_maps(int64_t slices, int64_t channels)
{
    struct error error;
    struct graph *graph = graph_create(DTYPE_F32);
    struct shape s = {slices, 1, 16, 16, 8};
    int v = graph_input(graph, (struct tensor){s, DTYPE_F32, CHANNELS_LAST}, &error);
    struct operation o = {.kind = OP_CONVOLUTION};
    o.output = (struct tensor){{slices, 1, 16, 16, 192}, DTYPE_F32, CHANNELS_LAST};
    v = graph_add(graph, &o, &v, 1, "large", &error);
    o.output = (struct tensor){{slices, 1, 8, 8, channels}, DTYPE_F32, CHANNELS_LAST};
    assert_true(graph_add(graph, &o, &v, 1, "small", &error) >= 0);
    return graph;
}

/* 8² positions are half a tile, 768 channels six tiles: three a slice, so 44 slices for 132. */
static void test_filling(void **state)
{
    static const struct {
        int64_t slices, channels, filling;
        int multiprocessors;
    } cases[] = {{1, 768, 44, 132}, {5, 768, 44, 132}, {1, 768, 36, 108},
                 {1, 769, 38, 132}, {1, 4, 264, 132},  {1, 768, 1, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct graph *graph = two_maps(cases[i].slices, cases[i].channels);
        assert_int_equal(filling_slices(graph, cases[i].slices, cases[i].multiprocessors),
                         cases[i].filling);
        graph_destroy(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),         cmocka_unit_test(test_too_many_calls),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_failures),
        cmocka_unit_test(test_filling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
