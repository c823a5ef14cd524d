#include "lib/io/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/test_safetensors.XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Files in the directory, to see that nothing is left behind. */
static int count_files(void)
{
    int count = 0;
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

/* A file of a header (its length taken from `length`, or −1: as it is) and some bytes of data. */
static const char *write_raw(const char *header, int64_t length, int64_t data)
{
    const char *path = path_of("raw.safetensors");
    uint64_t announced = length < 0 ? strlen(header) : (uint64_t)length;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(&announced, 1, 8, file), 8);
    assert_int_equal(fwrite(header, 1, strlen(header), file), strlen(header));
    for (int64_t i = 0; i < data; i++)
        assert_int_not_equal(fputc((int)(i & 0x7f), file), EOF);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void expect_refused(const char *path, const char *reason)
{
    struct safetensors file;
    struct error error = {""};
    assert_int_equal(safetensors_open(&file, path, &error), -1);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, error.text);
    assert_memory_equal(error.text, path, strlen(path));
    assert_null(strchr(error.text, '\n'));
    assert_null(file.map);
}

#define ENTRY(name, dtype, shape, begin, end)                                                      \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin        \
    "," #end "]}"

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t length, data;
        const char *reason;
    } cases[] = {
        {"{}", 3, 0, "cut short: the header of 3 bytes ends beyond the file's 10"},
        {"{}", INT64_MAX, 0, "cut short: the header"},
        {"", 0, 2, "not a safetensors file: no header"},
        {"[1]", -1, 0, "not a safetensors file: no header"},
        {"{}", 0, 2, "header is not JSON"},
        {"{\"a\":}", -1, 0, "header is not JSON"},
        {"{\"a\":{}", -1, 0, "header is not JSON"},
        {"{} x", -1, 0, "text after the end of the JSON header (at byte 11)"},
        {"{\"__metadata__\":3}", -1, 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", -1, 0, "__metadata__ appears twice"},
        {"{\"__metadata__\":{\"heads\":8}}", -1, 0, "metadata \"heads\" is not a string"},
        {"{\"a\\nb\":{}}", -1, 0, "control characters"},
        {"{\"a\":[]}", -1, 0, "tensor a: its entry is not an object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", -1, 0, "data_offsets is missing"},
        {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", -1, 4, "dtype, shape or"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", -1, 8,
         "dtype, shape or"},
        {"{" ENTRY("a", "F8_E4M3", "1", 0, 1) "}", -1, 1, "tensor a: unknown dtype \"F8_E4M3\""},
        {"{" ENTRY("a", "F32", "1,1,1,1,1,1,1,1,1", 0, 4) "}", -1, 4, "more than 8 axes"},
        {"{" ENTRY("a", "F32", "-1", 0, 4) "}", -1, 4, "an extent is not a whole number"},
        {"{" ENTRY("a", "F32", "1.5", 0, 6) "}", -1, 6, "an extent is not a whole number"},
        {"{" ENTRY("a", "F32", "1e300", 0, 4) "}", -1, 4, "an extent is not a whole number"},
        {"{" ENTRY("a", "F32", "\"1\"", 0, 4) "}", -1, 4, "an extent is not a whole number"},
        {"{" ENTRY("a", "F32", "4294967296,4294967296", 0, 4) "}", -1, 4, "shape overflows"},
        {"{" ENTRY("a", "F32", "1", 4, 0) "}", -1, 4, "not two ascending numbers"},
        {"{" ENTRY("a", "F32", "1", -4, 0) "}", -1, 4, "not two ascending numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", -1, 4,
         "not two ascending"},
        {"{" ENTRY("a", "F32", "3", 0, 8) "}", -1, 8,
         "tensor a: data_offsets hold 8 bytes, shape and dtype 12"},
        {"{" ENTRY("a", "F32", "1", 0, 4) "," ENTRY("a", "F32", "1", 4, 8) "}", -1, 8,
         "tensor a appears twice"},
        {"{" ENTRY("a", "F32", "2", 0, 8) "," ENTRY("b", "F32", "1", 4, 8) "}", -1, 8,
         "tensor b overlaps tensor a"},
        {"{" ENTRY("a", "F32", "1", 0, 4) "," ENTRY("b", "F32", "1", 8, 12) "}", -1, 12,
         "tensor b: a gap of 4 bytes before its data"},
        {"{" ENTRY("a", "F32", "1", 9007199254740988, 9007199254740992) "}", -1, 4, "a gap of"},
        {"{" ENTRY("a", "F32", "2", 0, 8) "}", -1, 7,
         "cut short: file is 69 bytes, its header announces 70"},
        {"{" ENTRY("a", "F32", "2", 0, 8) "}", -1, 9,
         "bytes after the data: file is 71 bytes, its header announces 70"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(write_raw(cases[i].header, cases[i].length, cases[i].data), cases[i].reason);
}

static void test_unreadable(void **state)
{
    (void)state;
    expect_refused(path_of("none"), "cannot open: No such file");
    expect_refused(directory, "not a regular file");
    char fifo[256];
    snprintf(fifo, sizeof fifo, "%s", path_of("fifo"));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_refused(fifo, "not a regular file");
    unlink(fifo);
    const char *path = write_raw("", 0, 0);
    expect_refused(path, "not a safetensors file: only 8 bytes");
    assert_int_equal(truncate(path, 0), 0);
    expect_refused(path, "not a safetensors file: only 0 bytes");
}

/* Every prefix of a good file is refused, and none is read beyond its end. */
static void test_every_prefix(void **state)
{
    (void)state;
    const char *path =
        write_raw("{" ENTRY("a", "F32", "2", 0, 8) "," ENTRY("b", "U8", "3", 8, 11) "}   ", -1, 11);
    struct stat status;
    struct safetensors file;
    struct error error;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(safetensors_open(&file, path, &error), 0);
    safetensors_close(&file);
    for (off_t size = status.st_size - 1; size >= 0; size--) {
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(safetensors_open(&file, path, &error), -1);
    }
}

static void test_empty(void **state)
{
    (void)state;
    struct safetensors file;
    struct error error;
    assert_int_equal(safetensors_open(&file, write_raw("{}", -1, 0), &error), 0);
    assert_int_equal(file.count, 0);
    assert_null(safetensors_find(&file, "a"));
    assert_null(safetensors_metadata(&file, "a"));
    safetensors_close(&file);
}

/* Tensors of odd sizes before wider ones: the data come aligned all the same. Empty tensors may
 * share their offset with others, and the order in the header is free. */
static void test_misaligned(void **state)
{
    (void)state;
    const char *path =
        write_raw("{" ENTRY("w", "F64", "2", 3, 19) "," ENTRY("e", "F32", "0,7", 3, 3) "," ENTRY(
                      "b", "U8", "3", 0, 3) "," ENTRY("h", "F16", "", 19, 21) "}",
                  -1, 21);
    struct safetensors file;
    struct error error;
    assert_int_equal(safetensors_open(&file, path, &error), 0);
    assert_int_equal(file.count, 4);
    static const char *const names[] = {"b", "e", "h", "w"};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(file.tensor[i].name, names[i]);
        assert_ptr_equal(safetensors_find(&file, names[i]), &file.tensor[i]);
        assert_int_equal((uintptr_t)file.tensor[i].data % dtype_size(file.tensor[i].dtype), 0);
    }
    assert_int_equal(file.tensor[1].bytes, 0);
    assert_int_equal(file.tensor[2].rank, 0);
    assert_int_equal(file.tensor[2].bytes, 2);
    const unsigned char *w = file.tensor[3].data;
    for (int i = 0; i < 16; i++)
        assert_int_equal(w[i], 3 + i);
    safetensors_close(&file);
}

static const enum dtype all_dtypes[] = {
    DTYPE_F64,  DTYPE_I64, DTYPE_U64, DTYPE_F32, DTYPE_I32, DTYPE_U32,  DTYPE_F16,
    DTYPE_BF16, DTYPE_I16, DTYPE_U16, DTYPE_U8,  DTYPE_I8,  DTYPE_BOOL,
};
enum { DTYPES = sizeof all_dtypes / sizeof *all_dtypes };

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const metadata[] = {"heads", "8", "history", "a \"b\"\n\xff\xc3\xa9\xc0\x80",
                                           NULL};
    struct safetensor tensor[DTYPES];
    int files = count_files();
    for (int i = 0; i < DTYPES; i++)
        tensor[i] = (struct safetensor){.name = safetensors_dtype_name(all_dtypes[i]),
                                        .dtype = all_dtypes[i],
                                        .rank = 2,
                                        .shape = {3, i}};
    char path[256];
    snprintf(path, sizeof path, "%s", path_of("out.safetensors"));
    struct safetensors_writer *writer;
    struct error error = {""};
    assert_int_equal(safetensors_writer_open(&writer, path, tensor, DTYPES, metadata, &error), 0);
    for (int i = 0; i < DTYPES; i++)
        for (int64_t k = 0; k < 3 * i * dtype_size(all_dtypes[i]); k++) {
            unsigned char byte = (unsigned char)(k + i);
            assert_int_equal(safetensors_writer_write(writer, &byte, 1, &error), 0);
        }
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(safetensors_writer_write(writer, "", 1, &error), -1);
    assert_non_null(strstr(error.text, "1 bytes more than the header announces"));
    assert_int_equal(safetensors_writer_close(writer, &error), 0);
    assert_int_equal(count_files(), files + 1);

    struct safetensors file;
    assert_int_equal(safetensors_open(&file, path, &error), 0);
    assert_int_equal(file.count, DTYPES);
    assert_string_equal(safetensors_metadata(&file, "heads"), "8");
    assert_string_equal(safetensors_metadata(&file, "history"), "a \"b\"\n?\xc3\xa9??");
    for (int i = 0; i < DTYPES; i++) {
        const struct safetensor *found = safetensors_find(&file, tensor[i].name);
        assert_non_null(found);
        assert_int_equal(found->dtype, all_dtypes[i]);
        assert_int_equal(found->rank, 2);
        assert_int_equal(found->shape[0], 3);
        assert_int_equal(found->shape[1], i);
        assert_int_equal(found->bytes, 3 * i * dtype_size(all_dtypes[i]));
        for (int64_t k = 0; k < found->bytes; k++)
            assert_int_equal(((const unsigned char *)found->data)[k], (unsigned char)(k + i));
    }
    assert_null(file.realigned);
    int64_t header;
    memcpy(&header, file.map, 8);
    assert_int_equal((header + 8) % 64, 0);
    safetensors_close(&file);
    unlink(path);
}

static void expect_not_written(const struct safetensor *tensor, int count, const char *reason)
{
    struct safetensors_writer *writer;
    struct error error = {""};
    int files = count_files();
    assert_int_equal(
        safetensors_writer_open(&writer, path_of("bad.safetensors"), tensor, count, NULL, &error),
        -1);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, error.text);
    assert_int_equal(count_files(), files);
}

static void test_bad_descriptions(void **state)
{
    (void)state;
    struct safetensor twice[] = {{.name = "a"}, {.name = "b"}, {.name = "a"}};
    expect_not_written(twice, 3, "tensor a is given twice");
    struct safetensor odd[] = {{.name = "a\xff"}};
    expect_not_written(odd, 1, "name is not plain text");
    struct safetensor huge[] = {
        {.name = "a", .rank = 2, .shape = {(int64_t)1 << 40, (int64_t)1 << 40}}};
    expect_not_written(huge, 1, "tensor a: shape overflows");
    struct safetensor sum[] = {{.name = "a", .rank = 1, .shape = {(int64_t)1 << 60}},
                               {.name = "b", .rank = 1, .shape = {(int64_t)1 << 60}}};
    expect_not_written(sum, 2, "more than 2^63 bytes");
    struct safetensor negative[] = {{.name = "a", .rank = 1, .shape = {-1}}};
    expect_not_written(negative, 1, "shape overflows");
}

static void test_unfinished(void **state)
{
    (void)state;
    const struct safetensor tensor = {.name = "a", .rank = 1, .shape = {2}};
    char path[256];
    snprintf(path, sizeof path, "%s", path_of("old.safetensors"));
    FILE *old = fopen(path, "w");
    assert_non_null(old);
    fclose(old);
    int files = count_files();
    struct safetensors_writer *writer;
    struct error error = {""};
    assert_int_equal(safetensors_writer_open(&writer, path, &tensor, 1, NULL, &error), 0);
    assert_int_equal(safetensors_writer_write(writer, "abcd", 4, &error), 0);
    assert_int_equal(safetensors_writer_close(writer, &error), -1);
    assert_non_null(strstr(error.text, "4 bytes of tensor data were not given"));
    assert_int_equal(count_files(), files);

    assert_int_equal(safetensors_writer_open(&writer, path, &tensor, 1, NULL, &error), 0);
    assert_int_equal(count_files(), files + 1);
    safetensors_writer_abort(writer);
    assert_int_equal(count_files(), files);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 0);
    unlink(path);
}

/* A link stays a link to the new file; a device is written in place. */
static void test_special_outputs(void **state)
{
    (void)state;
    const struct safetensor tensor = {.name = "a", .rank = 1, .shape = {1}};
    char target[256], link[256];
    snprintf(target, sizeof target, "%s", path_of("target"));
    snprintf(link, sizeof link, "%s", path_of("link"));
    FILE *old = fopen(target, "w");
    assert_non_null(old);
    fclose(old);
    assert_int_equal(symlink(target, link), 0);
    const char *const paths[] = {link, "/dev/null"};
    struct error error = {""};
    for (int i = 0; i < 2; i++) {
        struct safetensors_writer *writer;
        assert_int_equal(safetensors_writer_open(&writer, paths[i], &tensor, 1, NULL, &error), 0);
        assert_int_equal(safetensors_writer_write(writer, "abcd", 4, &error), 0);
        assert_int_equal(safetensors_writer_close(writer, &error), 0);
    }
    struct stat status;
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    struct safetensors file;
    assert_int_equal(safetensors_open(&file, target, &error), 0);
    assert_memory_equal(file.tensor[0].data, "abcd", 4);
    safetensors_close(&file);
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    unlink(link);
    unlink(target);

    struct safetensors_writer *writer;
    assert_int_equal(safetensors_writer_open(&writer, path_of("none/x"), &tensor, 1, NULL, &error),
                     -1);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(safetensors_writer_open(&writer, "/dev/full", &tensor, 1, NULL, &error), -1);
    assert_non_null(strstr(error.text, "No space left"));
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path_of("raw.safetensors"));
    return rmdir(directory); /* fails when a test left something behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_every_prefix),     cmocka_unit_test(test_empty),
        cmocka_unit_test(test_misaligned),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_descriptions), cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_special_outputs),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
