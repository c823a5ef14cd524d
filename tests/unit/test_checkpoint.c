/* Checkpoints: those in testdata/checkpoints give exactly the numbers that they were made with, and
 * what is missing is named. */
#include "lib/checkpoint/import.h"
#include "lib/io/array.h"
#include "tests/unit/stream_files.h"

enum { PERIOD = 31 };

/* The number that testdata/make-checkpoints.py gives an element of the tensor. */
static float value_of(const char *name, int64_t i)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    int64_t number = (i + (int64_t)(hash % PERIOD)) % PERIOD - PERIOD / 2;
    return (float)number / 16;
}

static void check_values(const struct safetensor *tensor, const char *name)
{
    int64_t count = tensor->bytes / dtype_size(tensor->dtype);
    float value;
    for (int64_t i = 0; i < count; i++) {
        array_to_f32((const char *)tensor->data + i * dtype_size(tensor->dtype), tensor->dtype,
                     &value, 1);
        if (value != value_of(name, i))
            fail_msg("%s[%lld] is %g, not %g", name, (long long)i, (double)value,
                     (double)value_of(name, i));
    }
}

static int import(enum part part, const char *const *paths, int64_t count, bool ema, int64_t memory,
                  struct error *error)
{
    struct import_settings settings = {
        .part = part, .groups = 2, .ema = ema, .memory = memory, .command = "import"};
    struct import_report report;
    struct checkpoint file[2];
    if (part == PART_LDM3D || part == PART_REFINER)
        settings.heads = 2;
    for (int64_t i = 0; i < count; i++)
        if (checkpoint_open(&file[i], paths[i], error)) {
            while (i > 0)
                checkpoint_close(&file[--i]);
            return -1;
        }
    int status =
        import_checkpoints(&settings, file, count, path_of("out.safetensors"), &report, error);
    for (int64_t i = 0; i < count; i++)
        checkpoint_close(&file[i]);
    return status;
}

static void test_stored(void **state)
{
    (void)state;
    static const struct {
        enum part part;
        const char *paths[2];
        int64_t tensors;
        enum dtype dtype;
        const char *one; /* a name that must be there */
    } cases[] = {
        {PART_NHAE, {"nhae.ckpt"}, 240, DTYPE_F32, "SR3D.conv_blocks.0.up.convt.weight"},
        {PART_LDM3D, {"ldm3d.ckpt"}, 142, DTYPE_F32, "model.input_blocks.0.0.weight"},
        {PART_REFINER, {"refiner.ckpt"}, 284, DTYPE_F16, "model_ema.input_blocks00weight"},
        {PART_MULTISLICE, {"multislice.ckpt"}, 105, DTYPE_BF16, "decoder.conv_in_3d.weight"},
        {PART_AUTOENCODER2D, {"autoencoder2d.ckpt"}, 121, DTYPE_F32, "quantize.embedding.weight"},
        {PART_DISCRIMINATOR, {"autoencoder2d.ckpt"}, 14, DTYPE_F32, "main.3.running_var"},
        {PART_INCEPTION, {"inception.pth"}, 472, DTYPE_F32, "Mixed_7c.branch_pool.bn.bias"},
        {PART_VGG16, {"vgg16.pth"}, 26, DTYPE_F32, "net.slice5.28.bias"},
        {PART_LPIPS, {"vgg16.pth", "lpips.pth"}, 31, DTYPE_F32, "lin4.model.1.weight"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[2][64];
        const char *paths[2] = {path[0], path[1]};
        struct error error = {""};
        struct safetensors file;
        int count = cases[i].paths[1] ? 2 : 1;
        for (int k = 0; k < count; k++)
            snprintf(path[k], sizeof path[k], "testdata/checkpoints/%s", cases[i].paths[k]);
        if (import(cases[i].part, paths, count, false, 0, &error) ||
            safetensors_open(&file, path_of("out.safetensors"), &error))
            fail_msg("%s: %s", part_names[cases[i].part], error.text);
        assert_int_equal(file.count, cases[i].tensors);
        assert_non_null(safetensors_find(&file, cases[i].one));
        for (int64_t k = 0; k < file.count; k++) {
            assert_int_equal(file.tensor[k].dtype, cases[i].dtype);
            check_values(&file.tensor[k], file.tensor[k].name);
        }
        safetensors_close(&file);
        unlink(path_of("out.safetensors"));
    }
    assert_int_equal(count_files(), 0);
}

static void test_averages(void **state)
{
    (void)state;
    const char *path = "testdata/checkpoints/refiner.ckpt";
    struct error error;
    struct safetensors file;
    assert_int_equal(import(PART_REFINER, &path, 1, true, 0, &error), 0);
    assert_int_equal(safetensors_open(&file, path_of("out.safetensors"), &error), 0);
    assert_int_equal(file.count, 142);
    for (int64_t i = 0; i < file.count; i++) {
        char name[256];
        assert_memory_equal(file.tensor[i].name, "model.", 6);
        weights_averaged_name(file.tensor[i].name, name);
        check_values(&file.tensor[i], name);
    }
    assert_string_equal(safetensors_metadata(&file, "heads"), "2");
    assert_string_equal(safetensors_metadata(&file, "groups"), "2");
    assert_string_equal(safetensors_metadata(&file, "history"), "import");
    safetensors_close(&file);
    unlink(path_of("out.safetensors"));
    path = "testdata/checkpoints/ldm3d.ckpt";
    assert_int_equal(import(PART_LDM3D, &path, 1, true, 0, &error), -1);
    assert_non_null(strstr(error.text, "ldm3d.ckpt: holds no averages of ldm3d"));
}

static void expect_import(enum part part, const char *path, int64_t memory, const char *reason)
{
    struct error error = {""};
    assert_int_equal(import(part, &path, 1, false, memory, &error), -1);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, error.text);
    assert_int_equal(count_files(), 0);
}

static void test_parts(void **state)
{
    (void)state;
#define STORED "testdata/checkpoints/"
    expect_import(PART_LDM3D, STORED "refiner.ckpt", 0,
                  "a 2-D U-Net of 8 channels in and 4 out is another part");
    expect_import(PART_NHAE, STORED "refiner.ckpt", 0, "no tensor encoder3D.conv_first.conv.w");
    expect_import(PART_NHAE, STORED "autoencoder2d.ckpt", 0, "no nhae: there is no tensor");
    expect_import(PART_LPIPS, STORED "vgg16.pth", 0,
                  "5 of the 31 tensors of lpips are missing: lin0.model.1.weight, lin1");
    expect_import(PART_AUTOENCODER2D, STORED "autoencoder2d.ckpt", 100, "--memory allows 100");
    const char *twice[] = {STORED "vgg16.pth", STORED "vgg16.pth"};
    struct error error;
    assert_int_equal(import(PART_VGG16, twice, 2, false, 0, &error), -1);
    assert_non_null(strstr(error.text, "net.slice1.0.weight is in " STORED "vgg16.pth and in "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
