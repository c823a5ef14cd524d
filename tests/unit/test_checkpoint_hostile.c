/* Hostile and damaged checkpoints are refused, by name where a name is the reason. */
#include "lib/checkpoint/checkpoint.h"
#include "tests/unit/checkpoint_files.h"
#include "tests/unit/stream_files.h"

#include <zip.h>

/* Open the file; read every tensor. */
static int copied(void *context, const void *data, int64_t count, struct error *error)
{
    (void)data;
    (void)error;
    *(int64_t *)context += count;
    return 0;
}

static int read_all(const char *path, struct error *error)
{
    struct checkpoint c;
    if (checkpoint_open(&c, path, error))
        return -1;
    int status = 0;
    for (int64_t i = 0; i < c.count && !status; i++) {
        int64_t count = 0;
        status =
            checkpoint_copy(&c, &c.tensor[i], 0, (struct checkpoint_sink){copied, &count}, error);
        if (!status)
            assert_int_equal(count, c.tensor[i].count);
    }
    checkpoint_close(&c);
    return status;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* An object whose only tensor is `a`, between what else stands in the dict. */
static struct bytes object(const struct written_tensor *t, const char *more)
{
    struct bytes b = {.count = 0};
    put_codes(&b, "\x80\x02}(");
    put_text(&b, "a");
    put_tensor(&b, t);
    put_codes(&b, more);
    put_codes(&b, "u.");
    return b;
}

/* A legacy file of the object and one storage of `count` floats, of which `there` are in it. */
static const char *legacy(const struct bytes *object_pickle, int64_t count, int64_t there)
{
    struct bytes b = {.count = 0};
    put_legacy_start(&b, legacy_magic, 1001, "\x88");
    put(&b, object_pickle->data, object_pickle->count);
    put_codes(&b, "\x80\x02](");
    put_text(&b, "0");
    put_codes(&b, "e.");
    put(&b, &count, 8);
    for (int64_t i = 0; i < there; i++)
        put(&b, "\0\0\x80\x3f", 4);
    write_file(path_of("file"), b.data, b.count);
    return path_of("file");
}

static void expect_refused(const char *path, const char *reason)
{
    struct error error = {""};
    assert_int_equal(read_all(path, &error), -1);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, error.text);
    assert_memory_equal(error.text, path, strlen(path));
    unlink(path_of("file"));
}

static const struct written_tensor good = {"0", "FloatStorage", 6, 0, 2, {2, 3}, {3, 1}};

static void test_tensors(void **state)
{
    (void)state;
    const int64_t huge = (int64_t)1 << 62;
    struct error error;
    struct bytes b = object(&good, "");
    assert_int_equal(read_all(legacy(&b, 6, 6), &error), 0);
    const struct {
        struct written_tensor tensor;
        const char *reason;
    } cases[] = {
        {{"0", "FloatStorage", 6, 0, 2, {2, -3}, {3, 1}}, "not a whole number from 0"},
        {{"0", "FloatStorage", 6, 0, 2, {2, 3}, {-3, 1}}, "not a whole number from 0"},
        {{"0", "FloatStorage", 6, -1, 2, {2, 3}, {3, 1}}, "offset is not a whole number"},
        {{"0", "FloatStorage", 6, 1, 2, {2, 3}, {3, 1}}, "beyond its storage of 6"},
        {{"0", "FloatStorage", 6, huge, 1, {2}, {huge}}, "beyond its storage of 6"},
        {{"0", "FloatStorage", 6, 0, 2, {2, 3}, {4, 1}}, "beyond its storage of 6"},
        {{"0", "FloatStorage", 6, 0, 2, {2, 4}, {0, 1}}, "more elements than its storage's 6"},
        {{"0", "FloatStorage", 6, 0, 3, {huge, huge, 4}, {0, 0, 0}}, "more elements than"},
        {{"0", "FloatStorage", -6, 0, 1, {0}, {1}}, "a storage of -6 elements"},
        {{"0", "FloatStorage", huge, 0, 1, {0}, {1}}, "a storage of 4611686018427387904"},
        {{"0", "FloatStorage", 6, 0, 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {0}}, "more than 8 axes"},
        {{"0", "ComplexFloatStorage", 6, 0, 1, {6}, {1}}, "a torch.ComplexFloatStorage, which"},
        {{"1", "FloatStorage", 6, 0, 1, {6}, {1}}, "a storage is listed that the object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        b = object(&cases[i].tensor, "");
        expect_refused(legacy(&b, 6, 6), cases[i].reason);
    }
    b = object(&good, "");
    expect_refused(legacy(&b, 6, 5), "cut short: 0 of 1 storages are there");
    expect_refused(legacy(&b, 5, 6), "a storage holds 5 elements, 6 are announced");
}

/* Codes for one more entry of the dict, "b": refused with the reason, or NULL: fine. */
static void expect_entry(const char *codes, const char *reason)
{
    char entry[512];
    struct error error = {""};
    snprintf(entry, sizeof entry, "U\1b%s", codes);
    struct bytes b = object(&good, entry);
    const char *path = legacy(&b, 6, 6);
    if (reason)
        expect_refused(path, reason);
    else if (read_all(path, &error))
        fail_msg("%s: %s", codes, error.text);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const dangerous[] = {
        "os\nsystem",           "posix\nsystem",
        "nt\nsystem",           "subprocess\nPopen",
        "os.path\njoin",        "builtins\neval",
        "builtins\nexec",       "builtins\ncompile",
        "builtins\n__import__", "__builtin__\nexecfile",
        "sys\nmodules",         "runpy\nrun_path",
        "shutil\nrmtree",       "importlib\nimport_module",
        "pickle\nloads",        "socket\nsocket",
    };
    char codes[256], reason[128], name[64];
    for (size_t i = 0; i < sizeof dangerous / sizeof *dangerous; i++) {
        snprintf(name, sizeof name, "%s", dangerous[i]);
        *strchr(name, '\n') = '.';
        snprintf(reason, sizeof reason, "it names %s: loading it would run code", name);
        snprintf(codes, sizeof codes, "c%s\nU\4true\x85R", dangerous[i]);
        expect_entry(codes, reason);
        snprintf(codes, sizeof codes, "(lc%s\nU\4true\x85R0", dangerous[i]); /* thrown away */
        expect_entry(codes, reason);
    }
    expect_entry("cargparse\nNamespace\n)\x81}b", "b: it is built by argparse.Namespace, which");
    expect_entry("ccosmetics\nPaint\n", "b: it is built by cosmetics.Paint, which is not read");
    expect_entry("ctorch._utils\n_rebuild_tensor_v3\n)R", "torch._utils._rebuild_tensor_v3, which");
    expect_entry("ctorch._utils\n_rebuild_tensor_v2\n)R", "_rebuild_tensor_v2 comes with too few");
    expect_entry("ctorch._utils\n_rebuild_tensor_v2\n(NK\1))tR", "b: it comes without a storage");
    expect_entry("ctorch._utils\n_rebuild_parameter\n(N\x88NtR", "b: it is built by None");
    expect_entry("ctorch._utils\n_rebuild_parameter\n)R}b", "b: it is given a state");
    expect_entry("U\5thingQ", "is not that of a storage");
}

static void test_plain_entries(void **state)
{
    (void)state;
    expect_entry("K\5", NULL);
    expect_entry("](K\1K\2e", NULL);
    expect_entry("ccollections\nOrderedDict\n)RU\1xNs", NULL);
    expect_entry("}U\1xccosmetics\nPaint\n)Rs", NULL);
}

/* Under "state_dict", beside what Lightning keeps. */
static void test_lightning(void **state)
{
    (void)state;
    struct error error = {""};
    struct bytes b = {.count = 0};
    put_codes(&b, "\x80\x02}(");
    put_text(&b, "hyper_parameters");
    put_codes(&b, "cargparse\nNamespace\n)\x81}U\1xK\1sb");
    put_text(&b, "state_dict");
    put_codes(&b, "}");
    put_text(&b, "a");
    put_tensor(&b, &good);
    put_codes(&b, "su.");
    if (read_all(legacy(&b, 6, 6), &error))
        fail_msg("%s", error.text);
    struct checkpoint c;
    char text[64];
    int64_t index = 0;
    assert_int_equal(checkpoint_open(&c, path_of("file"), &error), 0);
    assert_string_equal(checkpoint_foreign(&c, &index, text, sizeof text), "argparse.Namespace");
    assert_null(checkpoint_foreign(&c, &index, text, sizeof text));
    checkpoint_close(&c);
    static const struct {
        const char *codes, *reason;
    } roots[] = {
        {"\x80\x02].", "it holds a list, not a state dict"},
        {"\x80\x02}.", "its state dict holds no tensors"},
        {"\x80\x02}U\12state_dictNs.", "it holds None, not a state dict"},
        {"\x80\x02"
         "cmodels\nNet\n)\x81}b.",
         "it holds models.Net, not a state dict"},
    };
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        b = (struct bytes){.count = 0};
        put_legacy_start(&b, legacy_magic, 1001, "\x88");
        put_codes(&b, roots[i].codes);
        put_codes(&b, "].");
        write_file(path_of("file"), b.data, b.count);
        expect_refused(path_of("file"), roots[i].reason);
    }
}

static void test_legacy_start(void **state)
{
    (void)state;
    static const struct {
        const char *magic;
        int64_t protocol;
        const char *little, *reason;
    } cases[] = {
        {"0123456789", 1001, "\x88", "a pickle, but not one of torch.save"},
        {legacy_magic, 1000, "\x88", "its version is not 1001"},
        {legacy_magic, 1001, "\x89", "its byte order is not little endian"},
        {legacy_magic, 1001, "N", "its byte order is not little endian"},
        {legacy_magic, 1001, "\x88", "the pickle is cut short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = {.count = 0};
        put_legacy_start(&b, cases[i].magic, cases[i].protocol, cases[i].little);
        write_file(path_of("file"), b.data, b.count);
        expect_refused(path_of("file"), cases[i].reason);
    }
    write_file(path_of("file"), "<html>", 6);
    expect_refused(path_of("file"), "neither of PyTorch's formats");
    write_file(path_of("file"), "", 0);
    expect_refused(path_of("file"), "neither of PyTorch's formats");
    write_file(path_of("file"), "\x20\0\0\0\0\0\0\0{\"a\":", 13);
    expect_refused(path_of("file"), "it looks like safetensors");
    expect_refused("/dev/null", "not a regular file");
    expect_refused("/nowhere", "cannot open: No such file");
}

struct entry {
    const char *name;
    const void *data;
    int64_t size;
    bool stored;
};

static const char *write_zip(const struct entry *entry, int count)
{
    int code;
    zip_t *zip = zip_open(path_of("file"), ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(zip);
    for (int i = 0; i < count; i++) {
        zip_source_t *source =
            zip_source_buffer(zip, entry[i].data, (zip_uint64_t)entry[i].size, 0);
        zip_int64_t index = zip_file_add(zip, entry[i].name, source, 0);
        assert_true(index >= 0);
        if (entry[i].stored)
            zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0);
    }
    assert_int_equal(zip_close(zip), 0);
    return path_of("file");
}

static void test_archives(void **state)
{
    (void)state;
    struct error error = {""};
    struct bytes b = object(&good, "");
    const float storage[7] = {1, 2, 3, 4, 5, 6, 7};
    const struct entry pickle = {"m/data.pkl", b.data, (int64_t)b.count, false};
    const struct entry data = {"m/data/0", storage, 24, true};
    const struct entry other = {"n/data.pkl", b.data, (int64_t)b.count, false};
    const struct entry little = {"m/byteorder", "little", 6, true};
    const struct entry big = {"m/byteorder", "big", 3, true};
    const struct entry longer = {"m/data/0", storage, 28, true};
    const struct entry shorter = {"m/data/0", storage, 20, false};
    if (read_all(write_zip((struct entry[]){pickle, data, little}, 3), &error))
        fail_msg("%s", error.text);
    expect_refused(write_zip(&data, 1), "a zip archive without data.pkl");
    expect_refused(write_zip((struct entry[]){pickle, data, other}, 3), "more than one data.pkl");
    expect_refused(write_zip((struct entry[]){pickle, data, big}, 3), "not little endian");
    expect_refused(write_zip(&pickle, 1), "a: storage 0: the archive has no m/data/0");
    expect_refused(write_zip((struct entry[]){pickle, longer}, 2),
                   "a: storage 0: 28 bytes in the archive, 24 are announced");
    expect_refused(write_zip((struct entry[]){pickle, shorter}, 2), "20 bytes in the archive");
    /* 64 MiB that deflate to 64 KiB. */
    char *zeros = calloc(PICKLE_BYTES + 1, 1);
    assert_non_null(zeros);
    const struct entry bomb = {"m/data.pkl", zeros, PICKLE_BYTES + 1, false};
    expect_refused(write_zip(&bomb, 1), "data.pkl is of 67108865 bytes, more than 67108864");
    free(zeros);
}

/* Cut anywhere, or with any byte damaged, a file is refused or reads; nothing else happens. */
static void damage(const char *from, size_t step)
{
    static char data[1 << 18];
    struct error error;
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    for (size_t i = 0; i < size; i += step) {
        write_file(path_of("file"), data, i);
        error.text[0] = 0;
        assert_int_equal(read_all(path_of("file"), &error), -1);
        assert_true(error.text[0]);
        for (int bit = 0; bit < 8; bit += 3) {
            data[i] = (char)(data[i] ^ 1 << bit);
            write_file(path_of("file"), data, size);
            read_all(path_of("file"), &error);
            data[i] = (char)(data[i] ^ 1 << bit);
        }
    }
    unlink(path_of("file"));
}

static void test_damaged(void **state)
{
    (void)state;
    struct bytes b = object(&good, "");
    const float storage[6] = {1, 2, 3, 4, 5, 6};
    damage("testdata/checkpoints/lpips.pth", 1);
    write_zip((struct entry[]){{"m/data.pkl", b.data, (int64_t)b.count, false},
                               {"m/data/0", storage, 24, true}},
              2);
    assert_int_equal(rename(path_of("file"), path_of("archive")), 0);
    damage(path_of("archive"), 1);
    unlink(path_of("archive"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_plain_entries), cmocka_unit_test(test_lightning),
        cmocka_unit_test(test_legacy_start),  cmocka_unit_test(test_archives),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
