/* tensor-diff - how far two streams of arrays are from each other; the exit code is the verdict.
 *   a.npy b.npy    stdout: one line an array */
#include "lib/io/compare.h"
#include "lib/io/filter.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct tolerance tolerance = {-1, -1}; /* negative: not given */
static double l2 = INFINITY;

/* clang-format off */
static const struct option options[] = {
    {.name = "atol", .type = OPTION_REAL, .target = &tolerance.absolute, .argument = "X", .low = 0,
     .high = 1e30, .unset = "0", .meaning = "allow |a - b| up to X + rtol*|b| in every element"},
    {.name = "rtol", .type = OPTION_REAL, .target = &tolerance.relative, .argument = "X", .low = 0,
     .high = 1e30, .unset = "0", .meaning = "see --atol"},
    {.name = "l2", .type = OPTION_CLIP, .target = &l2, .argument = "X", .low = 0, .high = 1e30,
     .meaning = "allow a relative L2 distance |a - b|/|b| up to X; alone, elements are free"},
    SLICE_MEMORY_OPTION,
    {.name = "quiet", .letter = 'q', .type = OPTION_FLAG, .target = &filter_settings.quiet,
     .no_result = true, .meaning = "no text, the exit code only"},
    {0},
};
/* clang-format on */

static const struct program program = {
    .name = "tensor-diff",
    .purpose = "compare arrays; the exit code is the verdict",
    .operands = "FILE FILE",
    .details = "Exits with 0 when all arrays are alike, 1 when they are not, 2 when one cannot be "
               "read. Without a tolerance all values must be equal; types may differ. NaN is "
               "unlike anything. The relative difference shown is |a - b|/max(|a|, |b|).",
    .example = "tensor-diff a.npy b.npy --atol 1e-4\n"
               "latent-sr -w nhae.safetensors z.npy | tensor-diff --l2 1e-5 - z_sr.npy",
    .options = options,
};

static struct filter first, second;

static void say(int64_t number, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(int64_t number, const char *format, ...)
{
    va_list arguments;
    if (filter_settings.quiet)
        return;
    va_start(arguments, format);
    printf("array %" PRId64 ": ", number);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

/* The verdict on two arrays of one shape. */
static bool alike(const struct comparison *comparison, bool elements)
{
    if (elements && comparison->beyond)
        return false;
    return comparison->nan == 0 && !(comparison_l2(comparison) > l2);
}

static void report(int64_t number, const struct array *array, const struct comparison *comparison,
                   bool good)
{
    char place[128] = "";
    int64_t rest = comparison->where;
    for (int axis = array->rank - 1; axis >= 0; axis--) {
        char longer[sizeof place];
        snprintf(longer, sizeof longer, "%" PRId64 "%s%s", rest % array->shape[axis],
                 *place ? ", " : "", place);
        memcpy(place, longer, sizeof place);
        rest /= array->shape[axis];
    }
    say(number, "max abs %.6g at (%s), max rel %.6g, rms %.6g, relative L2 %.6g",
        comparison->max_absolute, place, comparison->max_relative, comparison_rms(comparison),
        comparison_l2(comparison));
    if (comparison->nan)
        say(number, "%" PRId64 " elements are NaN in one or both", comparison->nan);
    if (!good)
        say(number, "not alike: %" PRId64 " of %" PRId64 " elements beyond the tolerance",
            comparison->beyond, comparison->count);
}

static bool compare(const struct array *a, const struct array *b, int64_t number, bool elements)
{
    char a_text[128], b_text[128];
    if (a->rank != b->rank || memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape)) {
        say(number, "not alike: %s and %s", array_describe(a, a_text, sizeof a_text),
            array_describe(b, b_text, sizeof b_text));
        return false;
    }
    struct comparison comparison = {0};
    int64_t slices = array_slices(a), batch = array_batch(a, slices);
    int64_t count = batch * array_slice_count(a);
    void *a_data = filter_allocate(&first, count, dtype_size(a->dtype));
    void *b_data = filter_allocate(&second, count, dtype_size(b->dtype));
    for (int64_t d = 0; d < slices; d += batch) {
        batch = array_batch(a, slices - d);
        filter_read(&first, a_data, batch);
        filter_read(&second, b_data, batch);
        comparison_add(&comparison, a_data, a->dtype, b_data, b->dtype,
                       batch * array_slice_count(a), &tolerance);
    }
    free(a_data);
    free(b_data);
    bool good = alike(&comparison, elements);
    report(number, a, &comparison, good);
    return good;
}

int main(int argc, char **argv)
{
    struct array a, b;
    filter_start(&first, &program, argc, argv);
    if (!strcmp(first.file[0], "-") && !strcmp(first.file[1], "-"))
        filter_fail(&first, "both inputs are stdin");
    second = (struct filter){.program = &program, .files = 1, .file = first.file + 1};
    first.files = 1;
    bool elements = tolerance.absolute >= 0 || tolerance.relative >= 0 || isinf(l2);
    tolerance.absolute = fmax(tolerance.absolute, 0);
    tolerance.relative = fmax(tolerance.relative, 0);

    bool good = true;
    for (int64_t number = 1;; number++) {
        bool more_a = filter_next(&first, &a), more_b = filter_next(&second, &b);
        if (!more_a && !more_b)
            break;
        if (more_a != more_b) {
            say(number, "not alike: it is in %s only",
                stream_reader_name(more_a ? first.input : second.input));
            good = false;
            break;
        }
        good = compare(&a, &b, number, elements) && good;
    }
    stream_reader_close(second.input);
    filter_finish(&first);
    return !good;
}
