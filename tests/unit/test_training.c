/* Losses and gradients of whole networks against goldens; what training promises of memory and of
 * values made again. */
#include "tests/unit/training.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/models/autoencoder2d.h"
#include "lib/models/discriminator.h"
#include "lib/models/lpips.h"
#include "lib/models/nhae.h"
#include "lib/models/unet.h"

#include <stdio.h>
#include <string.h>

static int count_gradients(const struct safetensors *file)
{
    int count = 0;
    for (int64_t i = 0; i < file->count; i++)
        count += !strncmp(file->tensor[i].name, "out.grad.", 9);
    return count;
}

/* Mean |network − target|. */
static void build_unet(struct training *t, enum dtype activations)
{
    struct unet_config config;
    training_begin(t, activations);
    struct builder *b = &t->builder;
    if (unet_read(&config, t->weights, &t->error))
        fail_msg("%s", t->error.text);
    int x = training_input(t, "in.x", false);
    int timesteps = training_numbers(t, "in.t");
    int target = training_input(t, "out.l1_target", false);
    int y = unet_build(b, &config, layer_channels_last(b, &x, 1, false), timesteps);
    int loss = layer_loss(b, LOSS_L1, y, layer_channels_last(b, &target, 1, true), 1.0f);
    training_output(t, y, "out.y", false);
    training_output(t, loss, "out.l1_loss", false);
    training_differentiate(t, loss, x, "out.grad.x", false);
}

static int unets;

static void unet(const char *path)
{
    struct training t;
    training_open(&t, path);
    for (int type = 0; type < 2 && safetensors_find(&t.file, "out.l1_target"); type++) {
        build_unet(&t, type ? DTYPE_BF16 : DTYPE_F32);
        training_run(&t, 0);
        assert_int_equal(training_compare(&t, true), count_gradients(&t.file));
        unets++;
    }
    training_close(&t);
}

static void test_unet(void **state)
{
    (void)state;
    golden_each("unet", unet);
    assert_true(unets > 0);
}

/* The slices of a whole pass through encoder, both quantizers and decoder. */
static void build_nhae(struct training *t)
{
    struct encoder3d_config encoder;
    struct latent_sr_config sr;
    struct autoencoder2d_config decoder;
    training_begin(t, DTYPE_F32);
    struct builder *b = &t->builder;
    int x = training_input(t, "in.thumbnail", false);
    int numbers = training_numbers(t, "in.slices");
    int target = training_input(t, "in.target", true);
    if (encoder3d_read(&encoder, t->weights, &t->error) ||
        latent_sr_read(&sr, t->weights, &t->error) ||
        decoder2d_read(&decoder, t->weights, &t->error))
        fail_msg("%s", t->error.text);
    encoder.whole_maps = true;
    int z = encoder3d_build(b, &encoder, layer_channels_last(b, &x, 1, false));
    int z_sr = latent_sr_build(b, &sr, z);
    int zq = b->graph->node[graph_find(b->graph, "quantize3D.embedding.weight")].output;
    int slices = layer_gather(b, z_sr, numbers);
    int y = decoder2d_build(b, &decoder, slices);
    int slices_q = b->graph->node[graph_find(b->graph, "quantize.embedding.weight")].output;
    int loss3d = layer_quantizer_loss(b, z, zq, "quantize3D.embedding.weight", sr.codes);
    int loss2d =
        layer_quantizer_loss(b, slices, slices_q, "quantize.embedding.weight", decoder.codes);
    int loss = layer_loss(b, LOSS_L1, y, layer_channels_last(b, &target, 1, true), 1.0f);
    loss = layer_sum(b, layer_sum(b, loss, loss3d), loss2d);
    training_output(t, y, "out.rec", true);
    training_output(t, loss3d, "out.vq_loss_3d", false);
    training_output(t, loss2d, "out.vq_loss_2d", false);
    training_output(t, loss, "out.loss", false);
    training_differentiate(t, loss, 0, NULL, false);
}

static void nhae(const char *path)
{
    struct training t;
    training_open(&t, path);
    build_nhae(&t);
    training_run(&t, 0);
    assert_int_equal(training_compare(&t, true), count_gradients(&t.file));
    training_close(&t);
}

static void test_nhae(void **state)
{
    (void)state;
    assert_true(golden_each("nhae_gradients", nhae) > 0);
}

/* The running averages after a step on real and fake pictures. */
static void check_averages(const struct training *t)
{
    for (int64_t i = 0; i < t->parameters->count; i++) {
        const struct parameter *p = t->parameters->list[i];
        char name[200];
        snprintf(name, sizeof name, "out.%s", strstr(p->name, "main."));
        const struct safetensor *expected = safetensors_find(&t->file, name);
        if (expected) {
            assert_null(p->gradient);
            golden_compare(name, p->value, expected->data, p->count, 1e-6);
        }
    }
}

/* First its own loss, then the generator's, for which it is frozen. */
static void discriminator(const char *path)
{
    struct training t;
    struct discriminator_config config;
    training_open(&t, path);
    training_begin(&t, DTYPE_F32);
    struct builder *b = &t.builder;
    if (discriminator_read(&config, t.weights, &t.error))
        fail_msg("%s", t.error.text);
    int real = training_input(&t, "in.real", false), fake = training_input(&t, "in.fake", false);
    int on_real = discriminator_build(b, &config, layer_channels_last(b, &real, 1, false));
    int on_fake = discriminator_build(b, &config, layer_channels_last(b, &fake, 1, false));
    int loss = layer_sum(b, layer_loss(b, LOSS_HINGE_REAL, on_real, 0, 0.5f),
                         layer_loss(b, LOSS_HINGE_FAKE, on_fake, 0, 0.5f));
    training_output(&t, on_real, "out.logits_real", false);
    training_output(&t, on_fake, "out.logits_fake", false);
    training_output(&t, loss, "out.d_loss", false);
    training_differentiate(&t, loss, 0, NULL, false);
    training_run(&t, 0);
    assert_int_equal(training_compare(&t, true) + 1, count_gradients(&t.file));
    check_averages(&t);

    training_begin(&t, DTYPE_F32);
    weights_freeze(t.weights, true);
    fake = training_input(&t, "in.fake", false);
    on_fake = discriminator_build(b, &config, layer_channels_last(b, &fake, 1, false));
    loss = layer_loss(b, LOSS_MEAN, on_fake, 0, -1.0f);
    training_output(&t, loss, "out.g_loss", false);
    training_differentiate(&t, loss, fake, "out.grad.fake", false);
    training_run(&t, 0);
    assert_int_equal(training_compare(&t, false), 1);
    training_close(&t);
}

static void test_discriminator(void **state)
{
    (void)state;
    assert_true(golden_each("discriminator", discriminator) > 0);
}

/* The multi-slice decoder: adaptors with their mix factors; z's gradient through its codes. */
static void multislice(const char *path)
{
    struct training t;
    struct autoencoder2d_config config;
    training_open(&t, path);
    training_begin(&t, DTYPE_F32);
    struct builder *b = &t.builder;
    if (decoder2d_read(&config, t.weights, &t.error))
        fail_msg("%s", t.error.text);
    int z = training_input(&t, "in.z", true), target = training_input(&t, "in.target", true);
    int y = decoder2d_build(b, &config, layer_channels_last(b, &z, 1, true));
    int loss = layer_loss(b, LOSS_L1, y, layer_channels_last(b, &target, 1, true), 1.0f);
    training_output(&t, y, "out.y", true);
    training_output(&t, loss, "out.loss", false);
    training_differentiate(&t, loss, z, "out.grad.z", true);
    training_run(&t, 0);
    assert_int_equal(training_compare(&t, true), count_gradients(&t.file));
    training_close(&t);
}

static void test_multislice(void **state)
{
    (void)state;
    assert_true(golden_each("multislice_gradients", multislice) > 0);
}

static void lpips(const char *path)
{
    struct training t;
    struct lpips_config config;
    training_open(&t, path);
    training_begin(&t, DTYPE_F32);
    struct builder *b = &t.builder;
    if (lpips_read(&config, t.weights, &t.error))
        fail_msg("%s", t.error.text);
    weights_freeze(t.weights, true);
    int x = training_input(&t, "in.x", false), y = training_input(&t, "in.y", false);
    int distance = lpips_build(b, &config, layer_channels_last(b, &x, 1, false),
                               layer_channels_last(b, &y, 1, false));
    training_output(&t, distance, "out.distance", false);
    training_differentiate(&t, distance, y, "out.grad.y", false);
    training_run(&t, 0);
    assert_int_equal(training_compare(&t, false), 1);
    training_close(&t);
}

static void test_lpips(void **state)
{
    (void)state;
    assert_true(golden_each("lpips", lpips) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unet),          cmocka_unit_test(test_nhae),
        cmocka_unit_test(test_discriminator), cmocka_unit_test(test_multislice),
        cmocka_unit_test(test_lpips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
