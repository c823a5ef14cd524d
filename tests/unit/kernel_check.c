#include "tests/unit/kernel_check.h"
#include "kernels/check_training.h"
#include "kernels/cpu/simd.h"
#include "tests/unit/device.h"
#include "tests/unit/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, GUARD_BYTE = 0xA5, NAN_BYTE = 0xFF /* fills unwritten memory with NaN */ };

const char *const kernel_sets[] = {"avx512", "avx2", "portable", NULL};

void *kernel_values(enum dtype dtype, int64_t count, uint64_t seed, double offset, double spread)
{
    void *data = malloc((size_t)(count * dtype_size(dtype)));
    uint64_t state = seed * 2 + 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        double u = (double)(state >> 33) / (double)(1u << 30) - 1.0;
        reference_set(data, dtype, i, offset + spread * u);
    }
    return data;
}

struct weight kernel_weight(const void *data, enum dtype dtype, int rank, int64_t a, int64_t b)
{
    return (struct weight){.data = data, .dtype = dtype, .rank = rank, .shape = {a, b, 1, 1, 1}};
}

/* 64-byte aligned memory of the backend between guards, and the host's copy of all of it. */
struct block {
    char *host, *memory; /* the same where the backend works in the host's memory */
    size_t bytes, whole;
};

static void check(const char *why)
{
    if (why)
        fail_msg("%s", why);
}

/* content: NULL for NaN. */
static struct block guarded(size_t bytes, const void *content)
{
    const struct backend *backend = test_backend();
    struct block b = {.bytes = bytes, .whole = (bytes + 2 * GUARD + 63) / 64 * 64};
    b.host = b.memory = aligned_alloc(64, b.whole);
    assert_non_null(b.host);
    memset(b.host, GUARD_BYTE, b.whole);
    if (content)
        memcpy(b.host + GUARD, content, bytes);
    else
        memset(b.host + GUARD, NAN_BYTE, bytes);
    if (backend->queue) {
        b.memory = backend->allocate(b.whole);
        assert_non_null(b.memory);
        check(backend->queue->copy(LANE_WORK, b.memory, b.host, b.whole));
    }
    return b;
}

/* Bring the memory to the host and look whether the guards are as they were. */
static void check_guards(const struct block *b)
{
    const struct queue *queue = test_backend()->queue;
    if (queue) {
        check(queue->copy(LANE_WORK, b->host, b->memory, b->whole));
        check(queue->wait());
    }
    const unsigned char *memory = (const unsigned char *)b->host;
    for (size_t i = 0; i < b->whole; i++)
        if (i < GUARD || i >= GUARD + b->bytes)
            assert_int_equal(memory[i], GUARD_BYTE);
}

static void release(struct block *b)
{
    if (b->memory != b->host)
        test_backend()->release(b->memory, b->whole);
    free(b->host);
}

/* The blocks of one run, but for the gradients. */
struct blocks {
    struct block prepared, scratch, workspace, output, input[OPERATION_INPUTS];
};

/* The operation with gradients in blocks of their own, which begin as the caller's. */
static struct operation with_gradients(const struct operation *o, struct block *gradient)
{
    struct operation own = *o;
    for (int i = 0; i < o->weights; i++)
        if (o->gradient[i]) {
            size_t bytes = (size_t)weight_elements(&o->weight[i]) * sizeof(float);
            gradient[i] = guarded(bytes, o->gradient[i]);
            own.gradient[i] = (float *)(void *)(gradient[i].memory + GUARD);
        }
    return own;
}

/* What the run made of them, to the caller's. */
static void end_gradients(const struct operation *o, struct block *gradient)
{
    for (int i = 0; i < o->weights; i++)
        if (o->gradient[i]) {
            check_guards(&gradient[i]);
            memcpy(o->gradient[i], gradient[i].host + GUARD, gradient[i].bytes);
            release(&gradient[i]);
        }
}

static struct blocks make_blocks(const struct operation *o, const struct needs *needs,
                                 const void *const *inputs)
{
    struct blocks b = {
        .prepared = guarded(needs->prepared, NULL),
        .scratch = guarded(needs->scratch, NULL),
        .workspace = guarded(needs->workspace, NULL),
        .output = guarded((size_t)tensor_bytes(o->output), NULL),
    };
    for (int i = 0; i < o->inputs; i++)
        b.input[i] = guarded((size_t)tensor_bytes(o->input[i]), inputs[i]);
    return b;
}

static void release_blocks(struct blocks *b, int inputs)
{
    release(&b->prepared);
    release(&b->scratch);
    release(&b->workspace);
    release(&b->output);
    for (int i = 0; i < inputs; i++)
        release(&b->input[i]);
}

/* Prepare and run with the output in its own block, or in that of input `place`. */
static void *run_blocks(const struct kernel *kernel, void *state, const struct operation *o,
                        struct blocks *b, int place)
{
    size_t bytes = (size_t)tensor_bytes(o->output);
    struct block *output = place >= 0 ? &b->input[place] : &b->output;
    const void *input[OPERATION_INPUTS] = {NULL};
    for (int i = 0; i < o->inputs; i++)
        input[i] = b->input[i].memory + GUARD;
    assert_int_equal(output->bytes, bytes);
    check(kernel->prepare(state, o, b->prepared.memory + GUARD, b->scratch.memory + GUARD));
    check(kernel->run(state, input, output->memory + GUARD, b->workspace.memory + GUARD));
    check_guards(&b->prepared);
    check_guards(&b->scratch);
    check_guards(&b->workspace);
    check_guards(output);
    void *result = malloc(bytes);
    assert_non_null(result);
    memcpy(result, output->host + GUARD, bytes);
    return result;
}

void *kernel_run_threads(const struct kernel *kernel, const struct operation *o,
                         const void *const *inputs, int planned, int threads, bool in_place)
{
    void *state = NULL, *result = NULL;
    struct block gradient[OPERATION_WEIGHTS];
    struct operation own = with_gradients(o, gradient);
    struct needs needs;
    int place = -2;
    if (!test_backend_is_cpu())
        kernel = test_backend()->kernel[o->kind];
    assert_non_null(kernel);
    omp_set_num_threads(planned);
    const char *why = kernel->create(&own, &state, &needs, &place);
    if (why)
        fail_msg("refused: %s", why);
    assert_in_range(place + 1, 0, o->inputs);
    omp_set_num_threads(threads);
    struct blocks blocks = make_blocks(o, &needs, inputs);
    if (!in_place || place >= 0)
        result = run_blocks(kernel, state, &own, &blocks, in_place ? place : -1);
    kernel->destroy(state);
    end_gradients(o, gradient);
    release_blocks(&blocks, o->inputs);
    return result;
}

void *kernel_run(const struct kernel *kernel, const struct operation *o, const void *const *inputs)
{
    return kernel_run_threads(kernel, o, inputs, 2, 2, false);
}

/* cuDNN's engines for bf16 take the bias in bf16: tests' biases are below 1, half a unit 2^-9. */
static double bias_slack(const struct operation *o)
{
    bool convolution = o->kind == OP_CONVOLUTION || o->kind == OP_CONVOLUTION_PAIR;
    return convolution && !test_backend_is_cpu() && o->output.dtype == DTYPE_BF16 ? 0x1p-9 : 0.0;
}

static void check_values(const struct operation *o, const void *got, const double *expected,
                         double slack)
{
    double rounding = o->output.dtype == DTYPE_BF16 ? 0x1p-8 : 0x1p-24;
    slack += bias_slack(o);
    for (int64_t i = 0; i < shape_count(o->output.shape); i++) {
        double value = reference_get(got, o->output.dtype, i);
        if (!(fabs(value - expected[i]) <= slack + rounding * fabs(expected[i])))
            fail_msg("%s: element %lld is %.9g, not %.9g (slack %.3g)", simd()->name, (long long)i,
                     value, expected[i], slack);
    }
}

static void check_same(const void *got, const void *expected, int64_t bytes, const char *what)
{
    if (memcmp(got, expected, (size_t)bytes) != 0)
        fail_msg("%s: other bits for %s", simd()->name, what);
}

static void check_threads(const struct kernel *kernel, const struct operation *o,
                          const void *const *inputs, const void *expected)
{
    static const int planned[] = {2, 1, 3, 3, 3, 1}, threads[] = {2, 1, 3, 2, 1, 3};
    for (int i = 0; i < (test_backend_is_cpu() ? 6 : 1); i++) {
        void *got = kernel_run_threads(kernel, o, inputs, planned[i], threads[i], false);
        check_same(got, expected, tensor_bytes(o->output), "other threads");
        free(got);
    }
    void *got = kernel_run_threads(kernel, o, inputs, 2, 2, true);
    if (got)
        check_same(got, expected, tensor_bytes(o->output), "work in place");
    free(got);
}

/* One sample, or one slice of it, of a tensor; what has fewer samples or slices is shared. */
static const void *part(struct tensor *t, struct shape whole, const void *data, int64_t n,
                        int64_t d, bool slice)
{
    int64_t sample = tensor_bytes(*t) / t->shape.n, offset = 0;
    if (t->shape.n == whole.n) {
        offset += n * sample;
        t->shape.n = 1;
    }
    if (slice && t->shape.d == whole.d) {
        offset += d * (sample / t->shape.d);
        t->shape.d = 1;
    }
    return (const char *)data + offset;
}

/* Run the samples, or all slices, one by one. */
static void check_parts(const struct kernel *kernel, const struct operation *o,
                        const void *const *inputs, const void *expected, bool slices)
{
    struct shape whole = o->output.shape;
    for (int64_t i = 0; i < whole.n * (slices ? whole.d : 1); i++) {
        int64_t n = slices ? i / whole.d : i, d = slices ? i % whole.d : 0;
        struct operation single = *o;
        const void *input[OPERATION_INPUTS] = {NULL};
        for (int k = 0; k < o->inputs; k++)
            input[k] = part(&single.input[k], whole, inputs[k], n, d, slices);
        const void *place = part(&single.output, whole, expected, n, d, slices);
        void *got = kernel_run(kernel, &single, input);
        check_same(got, place, tensor_bytes(single.output), slices ? "one slice" : "one sample");
        free(got);
    }
}

void kernel_check(const struct kernel *kernel, const struct operation *o, const void *const *inputs,
                  double slack, bool slicewise)
{
    double *expected = malloc((size_t)shape_count(o->output.shape) * sizeof *expected);
    assert_non_null(expected);
    reference_run(o, inputs, expected);
    for (int i = 0; kernel_sets[i]; i++) {
        if (simd_select(kernel_sets[i]) || (i && !test_backend_is_cpu()))
            continue;
        void *got = kernel_run(kernel, o, inputs);
        check_values(o, got, expected, slack);
        check_threads(kernel, o, inputs, got);
        if (o->output.shape.n > 1)
            check_parts(kernel, o, inputs, got, false);
        if (slicewise && o->output.shape.d > 1)
            check_parts(kernel, o, inputs, got, true);
        free(got);
    }
    free(expected);
}

void kernel_refuses(const struct kernel *kernel, const struct operation *o, const char *word)
{
    void *state = NULL;
    struct needs needs;
    int place;
    const char *why = kernel->create(o, &state, &needs, &place);
    if (!why)
        fail_msg("not refused: %s", word);
    if (!strstr(why, word))
        fail_msg("\"%s\" is not in \"%s\"", word, why);
}
