#include "tests/unit/kernel_check.h"
#include "kernels/cpu/simd.h"
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

/* 64-byte aligned memory between guards, filled with NaN. */
static void *guarded(size_t bytes)
{
    size_t whole = (bytes + 2 * GUARD + 63) / 64 * 64;
    char *memory = aligned_alloc(64, whole);
    assert_non_null(memory);
    memset(memory, GUARD_BYTE, whole);
    memset(memory + GUARD, NAN_BYTE, bytes);
    return memory + GUARD;
}

static void check_guards(const void *block, size_t bytes)
{
    const unsigned char *memory = block;
    for (int i = 1; i <= GUARD; i++)
        assert_int_equal(memory[-i], GUARD_BYTE);
    for (int i = 0; i < GUARD; i++)
        assert_int_equal(memory[bytes + (size_t)i], GUARD_BYTE);
}

static void release(void *block)
{
    free((char *)block - GUARD);
}

/* Create for `planned` threads, run with `threads`; in_place: into a copy of the input that the
 * kernel names, NULL where it names none. */
static void *run(const struct kernel *kernel, const struct operation *o, const void *const *inputs,
                 int planned, int threads, bool in_place)
{
    void *state = NULL;
    struct needs needs;
    int place = -2;
    omp_set_num_threads(planned);
    const char *why = kernel->create(o, &state, &needs, &place);
    if (why)
        fail_msg("refused: %s", why);
    assert_in_range(place + 1, 0, o->inputs);
    size_t bytes = (size_t)tensor_bytes(o->output);
    void *prepared = guarded(needs.prepared), *scratch = guarded(needs.scratch);
    void *workspace = guarded(needs.workspace), *output = guarded(bytes), *result = NULL;
    const void *input[OPERATION_INPUTS] = {NULL};
    for (int i = 0; i < o->inputs; i++)
        input[i] = inputs[i];
    if (in_place && place >= 0) {
        assert_int_equal(tensor_bytes(o->input[place]), bytes);
        memcpy(output, inputs[place], bytes);
        input[place] = output;
    }
    if (!in_place || place >= 0) {
        omp_set_num_threads(threads);
        assert_null(kernel->prepare(state, o, prepared, scratch));
        assert_null(kernel->run(state, input, output, workspace));
        check_guards(prepared, needs.prepared);
        check_guards(scratch, needs.scratch);
        check_guards(workspace, needs.workspace);
        check_guards(output, bytes);
        result = malloc(bytes);
        assert_non_null(result);
        memcpy(result, output, bytes);
    }
    kernel->destroy(state);
    release(prepared);
    release(scratch);
    release(workspace);
    release(output);
    return result;
}

void *kernel_run(const struct kernel *kernel, const struct operation *o, const void *const *inputs)
{
    return run(kernel, o, inputs, 2, 2, false);
}

void *kernel_run_threads(const struct kernel *kernel, const struct operation *o,
                         const void *const *inputs, int planned, int threads)
{
    return run(kernel, o, inputs, planned, threads, false);
}

static void check_values(const struct operation *o, const void *got, const double *expected,
                         double slack)
{
    double rounding = o->output.dtype == DTYPE_BF16 ? 0x1p-8 : 0x1p-24;
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
    static const int planned[] = {1, 2, 3, 3, 3, 1}, threads[] = {1, 2, 3, 2, 1, 3};
    for (int i = 0; i < 6; i++) {
        void *got = run(kernel, o, inputs, planned[i], threads[i], false);
        check_same(got, expected, tensor_bytes(o->output), "other threads");
        free(got);
    }
    void *got = run(kernel, o, inputs, 2, 2, true);
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
        void *got = run(kernel, &single, input, 2, 2, false);
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
        if (simd_select(kernel_sets[i]))
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
