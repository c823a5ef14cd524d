/* Each network against its goldens, in fp32 and, where the processor has it, bf16.
 *
 * Tolerances: fp32 sums of a few thousand products through some twenty layers keep 2e-5 relative
 * L2 (2⁻²⁴ per rounding, √(products·layers) of them); bf16 activations lose about 2⁻⁹ at each of
 * some fifty roundings, √50·2⁻⁹ ≈ 1.4e-2. */
#include "tests/unit/device.h"
#include "tests/unit/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/models/nhae.h"
#include "lib/models/stages.h"
#include "lib/models/windows.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE_FP32 2e-5
#define TOLERANCE_BF16 2e-2

/* A golden, open both ways. */
struct golden {
    struct safetensors file;
    struct weights *weights;
    char name[128];
};

static void open_golden(struct golden *g, const char *path, const char *weights)
{
    struct error error;
    char copy[1024];
    if (safetensors_open(&g->file, path, &error) ||
        weights_open(&g->weights, weights ? weights : path, false, &error))
        fail_msg("%s", error.text);
    snprintf(copy, sizeof copy, "%s", path);
    snprintf(g->name, sizeof g->name, "%s", basename(copy));
}

static void close_golden(struct golden *g)
{
    safetensors_close(&g->file);
    weights_close(g->weights);
}

static struct stage_settings settings_of(enum dtype activations)
{
    return (struct stage_settings){test_backend(), activations};
}

static void check(int status, const struct error *error)
{
    if (status)
        fail_msg("%s", error->text);
}

static float *run(struct stage *stage, int status, const float *const *inputs, struct error *error)
{
    check(status, error);
    float *out =
        malloc((size_t)(stage->out_d * stage->out_c * stage->out_h * stage->out_w) * sizeof *out);
    assert_non_null(out);
    check(network_run(stage->network, (const void *const *)inputs, (void *const[]){out}, error),
          error);
    stage_close(stage);
    return out;
}

/* Run a test body once in fp32 and, where possible, once in bf16. */
static void both(const char *path, void (*body)(struct golden *, enum dtype, double))
{
    struct golden g;
    open_golden(&g, path, NULL);
    body(&g, DTYPE_F32, TOLERANCE_FP32);
    if (test_backend()->multiplies_bf16())
        body(&g, DTYPE_BF16, TOLERANCE_BF16);
    close_golden(&g);
}

static void label(char *text, size_t size, const struct golden *g, enum dtype dtype,
                  const char *what)
{
    snprintf(text, size, "%s %s %s", g->name, what, dtype == DTYPE_F32 ? "fp32" : "bf16");
}

/* y from x (n, c, [d,] h, w) and one timestep a sample. */
static void unet_case(struct golden *g, enum dtype dtype, double tolerance, const char *x_name,
                      const char *t_name, const char *y_name)
{
    const struct safetensor *x = golden_tensor(&g->file, x_name);
    const struct safetensor *y = golden_tensor(&g->file, y_name);
    const int64_t *t = golden_tensor(&g->file, t_name)->data;
    struct stage_settings settings = settings_of(dtype);
    struct error error;
    bool flat = x->rank == 4;
    int64_t n = x->shape[0], c = y->shape[1], d = flat ? 1 : x->shape[2];
    int64_t h = x->shape[x->rank - 2], w = x->shape[x->rank - 1], size = c * d * h * w;
    float *out = malloc((size_t)(n * size) * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        const float *sample = (const float *)x->data + i * golden_count(x) / n;
        float *first = golden_swapped(sample, 1, c, d, h * w), timestep = (float)t[i];
        const float *inputs[3] = {first, flat ? sample + size : &timestep, &timestep};
        struct stage stage;
        int status = stage_denoise(&stage, g->weights, flat ? 2 : 3, d, c, h, w, &settings, &error);
        float *made = run(&stage, status, inputs, &error);
        float *back = golden_swapped(made, 1, d, c, h * w);
        memcpy(out + i * size, back, (size_t)size * sizeof *out);
        free(made);
        free(back);
        free(first);
    }
    char text[200];
    label(text, sizeof text, g, dtype, y_name);
    golden_compare(text, out, y->data, n * size, tolerance);
    free(out);
}

static void unet(struct golden *g, enum dtype dtype, double tolerance)
{
    unet_case(g, dtype, tolerance, "in.x", "in.t", "out.y");
    if (safetensors_find(&g->file, "in.x2"))
        unet_case(g, dtype, tolerance, "in.x2", "in.t2", "out.y2");
}

/* Extents that the halvings do not divide are rounded down. The stage refuses them, since padding
 * is better; the network itself takes them. */
static void encode3d_odd(struct golden *g, enum dtype dtype, double tolerance)
{
    const struct safetensor *x = golden_tensor(&g->file, "in.x2");
    const struct safetensor *z = golden_tensor(&g->file, "out.z2");
    struct encoder3d_config config;
    struct error error;
    struct builder b = {graph_create(dtype), g->weights, &error, false};
    char text[200];
    assert_non_null(b.graph);
    check(encoder3d_read(&config, g->weights, &error), &error);
    int in = layer_input(&b, 1, x->shape[2], 1, x->shape[3], x->shape[4]);
    layer_output(&b, encoder3d_build(&b, &config, layer_channels_last(&b, &in, 1, false)));
    check(b.failed ? -1 : 0, &error);
    struct stage stage = {NULL, z->shape[2], z->shape[1], z->shape[3], z->shape[4]};
    int status = network_create(&stage.network, b.graph, test_backend(), &error);
    float *made = run(&stage, status, (const float *const[]){x->data}, &error);
    float *back = golden_swapped(made, 1, z->shape[2], z->shape[1], z->shape[3] * z->shape[4]);
    label(text, sizeof text, g, dtype, "out.z2");
    golden_compare(text, back, z->data, golden_count(z), tolerance);
    free(made);
    free(back);
}

static void encode3d(struct golden *g, enum dtype dtype, double tolerance)
{
    if (safetensors_find(&g->file, "in.x2"))
        encode3d_odd(g, dtype, tolerance);
    const struct safetensor *x = golden_tensor(&g->file, "out.thumbnail");
    const struct safetensor *z = golden_tensor(&g->file, "out.z");
    struct stage_settings settings = settings_of(dtype);
    struct stage stage;
    struct error error;
    char text[200];
    int status = stage_encode3d(&stage, g->weights, x->shape[2], x->shape[3], x->shape[4],
                                &settings, &error);
    float *made = run(&stage, status, (const float *const[]){x->data}, &error);
    float *back = golden_swapped(made, 1, z->shape[2], z->shape[1], z->shape[3] * z->shape[4]);
    label(text, sizeof text, g, dtype, "out.z");
    golden_compare(text, back, z->data, golden_count(z), tolerance);
    free(made);
    free(back);
}

static void latent_sr(struct golden *g, enum dtype dtype, double tolerance)
{
    const struct safetensor *z = golden_tensor(&g->file, "in.z");
    const struct safetensor *y = golden_tensor(&g->file, "out.z_sr");
    struct stage_settings settings = settings_of(dtype);
    struct stage stage;
    struct error error;
    char text[200];
    int64_t c = z->shape[1], rest = z->shape[3] * z->shape[4];
    float *in = golden_swapped(z->data, 1, c, z->shape[2], rest);
    int status = stage_latent_sr(&stage, g->weights, z->shape[2], c, z->shape[3], z->shape[4],
                                 &settings, &error);
    float *made = run(&stage, status, (const float *const[]){in}, &error);
    float *back = golden_swapped(made, 1, y->shape[2], c, rest);
    label(text, sizeof text, g, DTYPE_F32, "out.z_sr");
    /* latent_sr computes in fp32 whatever is asked for. */
    golden_compare(text, back, y->data, golden_count(y), TOLERANCE_FP32);
    (void)tolerance;
    free(in);
    free(made);
    free(back);
}

static void encode2d_case(struct golden *g, enum dtype dtype, double tolerance, const char *x_name,
                          const char *z_name, bool features)
{
    const struct safetensor *x = golden_tensor(&g->file, x_name);
    const struct safetensor *z = golden_tensor(&g->file, z_name);
    struct stage_settings settings = settings_of(dtype);
    struct stage stage;
    struct error error;
    char text[200];
    int status = (features ? stage_encode2d_features : stage_encode2d)(
        &stage, g->weights, x->shape[0], x->shape[2], x->shape[3], &settings, &error);
    float *made = run(&stage, status, (const float *const[]){x->data}, &error);
    label(text, sizeof text, g, dtype, z_name);
    golden_compare(text, made, z->data, golden_count(z), tolerance);
    free(made);
}

static void encode2d(struct golden *g, enum dtype dtype, double tolerance)
{
    encode2d_case(g, dtype, tolerance, "in.x", "out.z", false);
    if (safetensors_find(&g->file, "in.x2"))
        encode2d_case(g, dtype, tolerance, "in.x2", "out.z2", false);
    if (safetensors_find(&g->file, "out.features"))
        encode2d_case(g, dtype, tolerance, "in.x", "out.features", true);
}

static void decode2d_case(struct golden *g, enum dtype dtype, double tolerance, const char *z_name,
                          const char *y_name)
{
    const struct safetensor *z = golden_tensor(&g->file, z_name);
    const struct safetensor *y = golden_tensor(&g->file, y_name);
    struct stage_settings settings = settings_of(dtype);
    struct stage stage;
    struct error error;
    char text[200];
    int status = stage_decode(&stage, g->weights, z->shape[0], z->shape[1], z->shape[2],
                              z->shape[3], &settings, &error);
    float *made = run(&stage, status, (const float *const[]){z->data}, &error);
    label(text, sizeof text, g, dtype, y_name);
    golden_compare(text, made, y->data, golden_count(y), tolerance);
    free(made);
}

static void decode2d(struct golden *g, enum dtype dtype, double tolerance)
{
    decode2d_case(g, dtype, tolerance, "in.z", "out.y");
    if (safetensors_find(&g->file, "in.z2"))
        decode2d_case(g, dtype, tolerance, "in.z2", "out.y2");
}

/* The whole volume by windows of `window` slices every `hop`, as decode-multislice makes it; the
 * first window too where the golden holds it. */
static void decode_case(struct golden *g, enum dtype dtype, double tolerance, const char *name,
                        int64_t window, int64_t hop)
{
    const struct safetensor *z = golden_tensor(&g->file, "in.z");
    const struct safetensor *volume = golden_tensor(&g->file, name);
    const struct safetensor *first = golden_tensor(&g->file, "out.window0");
    struct stage_settings settings = settings_of(dtype);
    struct windows windows = {z->shape[2], window, hop};
    struct stage stage;
    struct error error;
    char text[200];
    int64_t c = z->shape[1], h = z->shape[3], w = z->shape[4];
    int64_t pixels = volume->shape[1] * volume->shape[2];
    float *in = golden_swapped(z->data, 1, c, windows.slices, h * w);
    float *slices = malloc((size_t)(window * pixels) * sizeof *slices);
    float *out = malloc((size_t)golden_count(volume) * sizeof *out);
    check(stage_decode(&stage, g->weights, window, c, h, w, &settings, &error), &error);
    for (int64_t j = 0; j < windows_count(windows); j++) {
        int64_t start = windows_start(windows, j), from = windows_first(windows, j);
        int64_t count = windows_first(windows, j + 1) - from;
        const void *inputs[] = {in + start * c * h * w};
        check(network_run(stage.network, inputs, (void *const[]){slices}, &error), &error);
        label(text, sizeof text, g, dtype, "out.window0");
        if (j == 0 && window == first->shape[0])
            golden_compare(text, slices, first->data, golden_count(first), tolerance);
        memcpy(out + from * pixels, slices + (from - start) * pixels,
               (size_t)(count * pixels) * sizeof *out);
    }
    label(text, sizeof text, g, dtype, name);
    golden_compare(text, out, volume->data, golden_count(volume), tolerance);
    stage_close(&stage);
    free(in);
    free(slices);
    free(out);
}

/* Slices first … of a window, decoded alone: bit for bit those of the whole window. */
static void decode_kept(struct golden *g, enum dtype dtype, const float *z, const int64_t *shape,
                        const float *whole, struct layer_slices kept)
{
    struct stage_settings settings = settings_of(dtype);
    struct stage stage;
    struct error error;
    int status = stage_decode_slices(&stage, g->weights, shape[0], kept, shape[1], shape[2],
                                     shape[3], &settings, &error);
    check(status, &error);
    int64_t pixels = stage.out_h * stage.out_w;
    assert_int_equal(stage.out_d, kept.count);
    float *made = run(&stage, 0, &z, &error);
    assert_memory_equal(made, whole + kept.first * pixels,
                        (size_t)(kept.count * pixels) * sizeof *made);
    free(made);
}

/* Every part of a window of the golden's latents, on maps large enough for Winograd. */
static void decode_parts(struct golden *g, enum dtype dtype, double tolerance)
{
    const struct safetensor *z = golden_tensor(&g->file, "in.z");
    const int64_t shape[4] = {5, z->shape[1], 6, 7};
    int64_t values = shape[0] * shape[1] * shape[2] * shape[3];
    struct stage_settings settings = settings_of(dtype);
    struct stage stage;
    struct error error;
    (void)tolerance; /* none */
    float *in = malloc((size_t)values * sizeof *in);
    for (int64_t i = 0; i < values; i++)
        in[i] = ((const float *)z->data)[i % golden_count(z)];
    int status =
        stage_decode(&stage, g->weights, shape[0], shape[1], shape[2], shape[3], &settings, &error);
    float *whole = run(&stage, status, (const float *const[]){in}, &error);
    for (int64_t first = 0; first < shape[0]; first++)
        for (int64_t count = 1; first + count <= shape[0]; count++)
            decode_kept(g, dtype, in, shape, whole, (struct layer_slices){first, count});
    free(whole);
    free(in);
}

static void decode_multislice(struct golden *g, enum dtype dtype, double tolerance)
{
    decode_case(g, dtype, tolerance, "out.volume", golden_tensor(&g->file, "out.window0")->shape[0],
                1);
    for (int64_t i = 0; i < g->file.count; i++) {
        int window, hop;
        const char *name = g->file.tensor[i].name;
        if (sscanf(name, "out.volume_k%d_hop%d", &window, &hop) == 2)
            decode_case(g, dtype, tolerance, name, window, hop);
    }
}

#define CASE(name, prefix)                                                                         \
    static void golden_##name(const char *path)                                                    \
    {                                                                                              \
        both(path, name);                                                                          \
    }                                                                                              \
    static void test_##name##_##prefix(void **state)                                               \
    {                                                                                              \
        (void)state;                                                                               \
        assert_true(golden_each(#prefix, golden_##name) > 0);                                      \
    }

CASE(encode3d, encode3d)
CASE(latent_sr, latent_sr)
CASE(encode2d, encode2d)
CASE(decode2d, decode2d)
CASE(decode_multislice, decode_multislice)
CASE(unet, unet)

static void golden_decode_parts(const char *path)
{
    both(path, decode_parts);
}

static void test_decode_parts(void **state)
{
    (void)state;
    assert_true(golden_each("decode_multislice", golden_decode_parts) > 0);
    assert_true(golden_each("decode2d", golden_decode_parts) > 0); /* without adaptors */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode3d_encode3d),
        cmocka_unit_test(test_latent_sr_latent_sr),
        cmocka_unit_test(test_encode2d_encode2d),
        cmocka_unit_test(test_decode2d_decode2d),
        cmocka_unit_test(test_decode_multislice_decode_multislice),
        cmocka_unit_test(test_decode_parts),
        cmocka_unit_test(test_unet_unet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
