#include "lib/models/weights_cast.h"

#include "lib/io/half.h"
#include "lib/io/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 70000 /* more than are converted at a time */ };

static char from[] = "/tmp/test_weights_cast.from.XXXXXX",
            to[] = "/tmp/test_weights_cast.to.XXXXXX";
static float value[COUNT];
static const float average[2] = {0.25f, -3};
static const uint16_t half[2] = {0x3c00, 0x8001}; /* 1, −2^-24 */
static const int64_t counter = INT64_C(0x123456789abcdef);

static int start(void **state)
{
    (void)state;
    int a = mkstemp(from), b = mkstemp(to);
    for (int i = 0; i < COUNT; i++)
        value[i] = (float)sin(i) * (i % 3 ? 1 : 1e-6f);
    return a < 0 || b < 0 || close(a) || close(b);
}

static int finish(void **state)
{
    (void)state;
    return unlink(from) || unlink(to);
}

/* The file to cast; `last` is one of its numbers. */
static void write_file(float last)
{
    const struct safetensor tensor[] = {
        {"counter", DTYPE_I64, 0, {0}, &counter, 8},
        {"model.big", DTYPE_F32, 2, {COUNT / 10, 10}, value, sizeof value},
        {"model.out.bias", DTYPE_F32, 1, {2}, (float[]){1, last}, 8},
        {"model_ema.outbias", DTYPE_F32, 1, {2}, average, 8},
        {"loss.discriminator.main.0.bias", DTYPE_F32, 1, {2}, average, 8},
        {"half", DTYPE_F16, 1, {2}, half, 4},
    };
    const int count = sizeof tensor / sizeof *tensor;
    struct safetensors_writer *writer;
    assert_int_equal(safetensors_writer_open(
                         &writer, from, tensor, count,
                         (const char *[]){"groups", "8", "history", "init-weights", NULL}, NULL),
                     0);
    for (int i = 0; i < count; i++)
        assert_int_equal(safetensors_writer_write(writer, tensor[i].data, tensor[i].bytes, NULL),
                         0);
    assert_int_equal(safetensors_writer_close(writer, NULL), 0);
}

static const void *data(const struct safetensors *file, const char *name, enum dtype dtype,
                        int64_t bytes)
{
    const struct safetensor *tensor = safetensors_find(file, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, dtype);
    assert_int_equal(tensor->bytes, bytes);
    return tensor->data;
}

static void test_half(void **state)
{
    (void)state;
    struct safetensors file;
    write_file(65519);
    assert_int_equal(weights_cast(from, to, DTYPE_F16, false, "weights-cast", NULL), 0);
    assert_int_equal(safetensors_open(&file, to, NULL), 0);
    assert_int_equal(file.count, 4);
    const uint16_t *big = data(&file, "model.big", DTYPE_F16, 2 * COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(big[i], half_from_f32(value[i]));
    assert_int_equal(safetensors_find(&file, "model.big")->shape[0], COUNT / 10);
    assert_memory_equal(data(&file, "half", DTYPE_F16, 4), half, 4);
    assert_memory_equal(data(&file, "model.out.bias", DTYPE_F16, 4), ((uint16_t[]){0x3c00, 0x7bff}),
                        4);
    assert_memory_equal(data(&file, "counter", DTYPE_I64, 8), &counter, 8);
    assert_string_equal(safetensors_metadata(&file, "groups"), "8");
    assert_string_equal(safetensors_metadata(&file, "history"), "init-weights\nweights-cast");
    safetensors_close(&file);
}

static void test_averages(void **state)
{
    (void)state;
    struct safetensors file;
    write_file(2);
    assert_int_equal(weights_cast(from, to, DTYPE_F32, true, "weights-cast --ema", NULL), 0);
    assert_int_equal(safetensors_open(&file, to, NULL), 0);
    assert_int_equal(file.count, 4);
    assert_memory_equal(data(&file, "model.out.bias", DTYPE_F32, 8), average, 8);
    assert_memory_equal(data(&file, "model.big", DTYPE_F32, sizeof value), value, sizeof value);
    assert_memory_equal(data(&file, "half", DTYPE_F32, 8), ((float[]){1, -0x1p-24f}), 8);
    safetensors_close(&file);
    /* What came out holds no averages any more. */
    struct error error = {""};
    assert_int_equal(weights_cast(to, from, DTYPE_F32, true, "", &error), -1);
    assert_non_null(strstr(error.text, "holds no averaged weights"));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        float value;
        enum dtype dtype;
        const char *reason;
    } cases[] = {
        {65520, DTYPE_F16, "model.out.bias holds 65520, which F16 cannot"},
        {INFINITY, DTYPE_F32, "model.out.bias holds inf"},
        {NAN, DTYPE_F16, "model.out.bias holds "},
    };
    for (int i = 0; i < 3; i++) {
        struct error error = {""};
        write_file(cases[i].value);
        assert_int_equal(weights_cast(from, to, cases[i].dtype, false, "", &error), -1);
        assert_non_null(strstr(error.text, cases[i].reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
