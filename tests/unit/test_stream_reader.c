/* What the reader makes of headers that others wrote, and of broken input. */
#include "tests/unit/stream_files.h"

#include <math.h>

/* A file of a raw header (its length field filled in) and some payload. */
static const char *save_raw(int version, const char *dictionary, const void *payload, size_t size)
{
    static char text[1 << 16];
    size_t length = strlen(dictionary), start = version == 1 ? 10 : 12;
    memcpy(text, "\x93NUMPY", 6);
    text[6] = (char)version;
    text[7] = 0;
    for (size_t i = 8; i < start; i++)
        text[i] = (char)(length >> 8 * (i - 8));
    memcpy(text + start, dictionary, length);
    memcpy(text + start + length, payload, size);
    const char *path = path_of("raw.npy");
    save_bytes(path, text, start + length + size);
    return path;
}

/* Read the first array of a file as f32: its description, values, or the reason why not. */
static int read_first(const char *path, int64_t limit, struct array *array, float *values,
                      struct error *error)
{
    struct stream_reader *reader;
    assert_int_equal(stream_reader_open(&reader, &path, 1, limit, error), 0);
    int status = stream_reader_next(reader, array, error);
    if (status > 0)
        status = stream_reader_read_f32(reader, values, array_slices(array), error);
    stream_reader_close(reader);
    return status;
}

static void accepted(int version, const char *dictionary, const void *payload, size_t size,
                     const char *description, const float *expected)
{
    static struct array array;
    float values[16];
    struct error error = {""};
    char text[64];
    const char *path = save_raw(version, dictionary, payload, size);
    if (read_first(path, 0, &array, values, &error))
        fail_msg("%s: %s", dictionary, error.text);
    assert_string_equal(array_describe(&array, text, sizeof text), description);
    assert_false(array.marked);
    for (int64_t i = 0; i < array_count(&array); i++)
        assert_true(values[i] == expected[i]);
    unlink(path);
}

static void test_foreign_headers(void **state)
{
    (void)state;
    const float two[] = {1, -2}, one[] = {5};
    accepted(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n", two, 8, "f4 (2,)",
             two);
    accepted(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n", two, 8, "f4 (2,)",
             two);
    accepted(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n", two, 8, "f4 (2,)",
             two);
    accepted(1, "{\"shape\":(1,2L),\"fortran_order\":True,\"descr\":\"=f4\"}", two, 8, "f4 (1, 2)",
             two);
    accepted(1, " { 'descr' : '>f4' , 'fortran_order' : False , 'shape' : ( 2 , ) } # words\n",
             "\x3f\x80\0\0\xc0\0\0\0", 8, "f4 (2,)", two);
    accepted(1, "{'descr': '>i2', 'fortran_order': False, 'shape': (2,)}", "\0\1\xff\xfe", 4,
             "i2 (2,)", two);
    accepted(1, "{'descr': '>f8', 'fortran_order': False, 'shape': ()}", "\x40\x14\0\0\0\0\0\0", 8,
             "f8 ()", one);
    accepted(1, "{'descr': '<u1', 'fortran_order': False, 'shape': (1,)}", "\5", 1, "u1 (1,)", one);
    accepted(1, "{'descr': '|b1', 'fortran_order': True, 'shape': (2,)}", "\1\0", 2, "b1 (2,)",
             (float[]){1, 0});
}

static void refused_raw(int version, const char *dictionary, const char *reason)
{
    static struct array array;
    float values[16] = {0};
    struct error error = {""};
    const char *path = save_raw(version, dictionary, values, 0);
    assert_int_equal(read_first(path, 1 << 20, &array, values, &error), -1);
    if (strncmp(error.text, reason, strlen(reason)))
        fail_msg("%s: \"%s\", not \"%s\"", dictionary, error.text, reason);
    unlink(path);
}

static void test_refused_headers(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': False, 'a-key-longer-than-any': (2,)}",
        "{'descr: '<f4', 'fortran_order': False, 'shape': (2,)}",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        refused_raw(1, malformed[i], "damaged NPY header");
    refused_raw(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} rest",
                "damaged NPY header: text after");
    refused_raw(4, "{}", "NPY version 4.0 is not known");
    refused_raw(0, "{}", "NPY version 0.0 is not known");
    refused_raw(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}",
                "an array in Fortran order; save numpy.ascontiguousarray(a)");
    refused_raw(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
                "structured types");
    static const char *const types[] = {"<c8",     "|O8",  "<U5", "<f16",  "<V2",
                                        "<M8[ns]", "bf16", "f4",  "<bf16", ""};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char dictionary[128], reason[64];
        snprintf(dictionary, sizeof dictionary,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (2,)}", types[i]);
        snprintf(reason, sizeof reason, "type '%s' is not supported; f2 f4", types[i]);
        refused_raw(1, dictionary, reason);
    }
    refused_raw(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0)}",
                "an array without elements: f4 (2, 0)");
    refused_raw(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
                "absurd shape: f4 (4294967296, 4294967296)");
    refused_raw(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 99999999999999999999)}",
                "absurd shape: u1 (1, 9223372036854775807) has slices of");
    refused_raw(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1048577)}",
                "absurd shape: u1 (2, 1048577) has slices of 1048577 bytes, beyond the bound of "
                "1048576");
    refused_raw(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1048576)}",
                "the payload is cut: 0 of 2097152 bytes are there");
}

static void test_refused_metadata(void **state)
{
    (void)state;
    static const char *const broken[][2] = {
        {"{", "the octpipe metadata is not valid JSON"},
        {"{} x", "the octpipe metadata is not valid JSON"},
        {"{}", "the octpipe metadata has a wrong version"},
        {"{\"version\":2}", "the octpipe metadata has a wrong version (of a newer octpipe)"},
        {"{\"version\":1,\"kind\":7}", "the octpipe metadata has a wrong kind"},
        {"{\"version\":1,\"kind\":\"\xe6\"}", "the octpipe metadata has a wrong kind"},
        {"{\"version\":1,\"kind\":\"\xe0\x80\xa2\"}", "the octpipe metadata has a wrong kind"},
        {"{\"version\":1,\"axes\":\"DDDDDDDDDDDDDDDD\"}", "the octpipe metadata has a wrong axes"},
        {"{\"version\":1,\"spacing\":[1,2]}", "the octpipe metadata has a wrong spacing"},
        {"{\"version\":1,\"spacing\":[1,2,1e999]}", "the octpipe metadata has a wrong spacing"},
        {"{\"version\":1,\"original\":[1,2,-3]}", "the octpipe metadata has a wrong original"},
        {"{\"version\":1,\"index\":-1}", "the octpipe metadata has a wrong index"},
        {"{\"version\":1,\"index\":0.5}", "the octpipe metadata has a wrong index"},
        {"{\"version\":1,\"of\":1e300}", "the octpipe metadata has a wrong of"},
        {"{\"version\":1,\"history\":{}}", "the octpipe metadata has a wrong history"},
        {"{\"version\":1,\"history\":[1]}", "the octpipe metadata has a wrong history"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char dictionary[256];
        snprintf(dictionary, sizeof dictionary,
                 "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} # octpipe %s\n",
                 broken[i][0]);
        refused_raw(1, dictionary, broken[i][1]);
    }
}

static void refused_bytes(const void *data, size_t size, const char *reason)
{
    static struct array array;
    float values[16];
    struct error error = {""};
    const char *path = path_of("bytes.npy");
    save_bytes(path, data, size);
    assert_int_equal(read_first(path, 0, &array, values, &error), -1);
    if (strncmp(error.text, reason, strlen(reason)))
        fail_msg("\"%s\", not \"%s\"", error.text, reason);
    unlink(path);
}

static void test_no_array(void **state)
{
    (void)state;
    struct error error = {""};
    static struct array array;
    float values[1];
    refused_bytes("", 0, "empty; it holds no array");
    refused_bytes("P5\n", 3, "not an NPY array (bad magic)");
    refused_bytes("# a longer text\n", 16, "not an NPY array (bad magic)");
    refused_bytes("\x93NUMPY\1\0", 8, "the input ends inside an array's header");
    refused_bytes("\x93NUMPY\2\0\0\0\0\x80{'descr'", 20, "an NPY header of");
    refused_bytes("\x93NUMPY\1\0\x40\0{'descr'", 18, "the input ends inside an array's header");
    refused_bytes("\x93NUMPY\1\0\1\0{}", 12, "the input ends inside an array's header");
    refused_bytes("\x93NUMPY\1\0\x04\0{'\0}", 14, "damaged NPY header: it holds a zero byte");
    assert_int_equal(read_first(path_of("missing.npy"), 0, &array, values, &error), -1);
    assert_string_equal(error.text, "No such file or directory");
    assert_int_equal(read_first(directory, 0, &array, values, &error), -1);
    assert_string_equal(error.text, "Is a directory");
}

/* Two arrays whose file the tests below break; marked or bare. */
static struct array whole[2];
static unsigned char *payload[2] = {(unsigned char *)"0123456789abcdefghijklmnopqrstuv",
                                    (unsigned char *)"\1\2\3"};

static unsigned char *make_whole(bool marked, size_t *size)
{
    whole[0] = (struct array){.dtype = DTYPE_F64, .rank = 2, .shape = {2, 2}, .marked = marked};
    whole[1] =
        (struct array){.dtype = DTYPE_U8, .rank = 1, .shape = {3}, .marked = marked, .index = 1};
    if (marked) {
        strcpy(whole[0].kind, "volume");
        strcpy(whole[0].history, "noise --seed 1\ndiffuse3d");
        strcpy(whole[1].axes, "D");
        whole[1].spacing[1] = 0.25;
    }
    const char *path = path_of("whole.npy");
    write_arrays(path, whole, payload, 2);
    unsigned char *data = load_bytes(path, size);
    unlink(path);
    return data;
}

/* No change of a byte of a marked stream goes unnoticed, wherever it is, unless it is where nothing
 * is said. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    size_t size;
    unsigned char *data = make_whole(true, &size);
    const char *path = path_of("flipped.npy");
    int refused = 0;
    for (size_t at = 0; at < size; at++)
        for (int trial = 0; trial < 4; trial++) {
            struct error error = {""};
            unsigned char mask = (unsigned char)(trial ? 1 + random_below(255) : 1);
            data[at] ^= mask;
            save_bytes(path, data, size);
            int status = read_arrays(path, whole, payload, 2, &error);
            if (status > 0)
                fail_msg("byte %zu with mask %d reads as something else", at, mask);
            refused += status < 0;
            data[at] ^= mask;
        }
    /* What is not refused is the padding of the two trailers' headers. */
    assert_true(refused > 4 * ((int)size - 2 * 64));
    unlink(path);
    free(data);
}

/* Every shorter file is refused, unless it ends between two arrays. */
static void cut_everywhere(bool marked)
{
    size_t size;
    unsigned char *data = make_whole(marked, &size);
    const char *path = path_of("cut.npy");
    int good = 0;
    for (size_t length = 0; length <= size; length++) {
        struct error error = {""};
        save_bytes(path, data, length);
        int status = read_arrays(path, whole, payload, 2, &error);
        if (status == 1) /* the first array alone, whole */
            status = read_arrays(path, whole, payload, 1, &error);
        good += !status;
        assert_int_equal(status < 0, *error.text != 0);
    }
    assert_int_equal(good, 2);
    unlink(path);
    free(data);
}

static void test_cut_marked(void **state)
{
    (void)state;
    cut_everywhere(true);
}

static void test_cut_bare(void **state)
{
    (void)state;
    cut_everywhere(false);
}

/* Change the first place of `from` after `after`, and see why the file is refused. */
static void refused_change(const char *after, const char *from, const char *to, const char *reason)
{
    size_t size;
    unsigned char *data = make_whole(true, &size);
    unsigned char *place = memmem(data, size, after, strlen(after));
    assert_non_null(place);
    place = memmem(place, size - (size_t)(place - data), from, strlen(from));
    assert_non_null(place);
    memcpy(place, to, strlen(to));
    const char *path = path_of("changed.npy");
    save_bytes(path, data, size);
    struct error error = {""};
    assert_int_equal(read_arrays(path, whole, payload, 2, &error), -1);
    assert_string_equal(error.text, reason);
    unlink(path);
    free(data);
}

static void test_reasons(void **state)
{
    (void)state;
    refused_change("0123", "0123", "0124", "wrong checksum of the payload");
    refused_change("volume", "volume", "labels", "wrong checksum of the header");
    refused_change("<f8", "<f8", "<i8", "wrong checksum of the header");
    refused_change("# octpipe {", "# octpipe {", "# 0ctpipe {",
                   "a trailer without its array; the header before it is damaged");
    refused_change("# octpipe trailer", "octpipe", "octpaper",
                   "no trailer after the payload; it may be cut");
    refused_change("# octpipe trailer", "complete", "finished",
                   "damaged trailer: its JSON is not readable");
    refused_change("# octpipe trailer", "complete\"", "failed\"  ",
                   "the program that writes it gave up");
    refused_change("# octpipe trailer", "\"bytes\":32", "\"bytes\":31",
                   "the trailer is of another array");
    refused_change("# octpipe trailer", "crc32c\":\"", "crc32c\":\"-",
                   "damaged trailer: its JSON is not readable");
    refused_change("# octpipe trailer", "\x93NUMPY", "\x93NUMPi",
                   "array 2: not an NPY array (bad magic)");
    refused_change("uv", "NUMPY", "numpy", "after the payload: not an NPY array (bad magic)");
    refused_change("\1\2\3", "\2", "\5", "array 2: wrong checksum of the payload");
}

/* The last slice is not handed out before the trailer is verified; the others are. */
static void test_last_slice_is_held(void **state)
{
    (void)state;
    size_t size;
    unsigned char *data = make_whole(true, &size);
    *(unsigned char *)memmem(data, size, "0123", 4) = 'x';
    const char *path = path_of("held.npy");
    save_bytes(path, data, size);
    free(data);
    struct stream_reader *reader;
    static struct array array;
    struct error error = {""};
    double slice[2];
    assert_int_equal(stream_reader_open(&reader, &path, 1, 0, &error), 0);
    assert_int_equal(stream_reader_next(reader, &array, &error), 1);
    assert_int_equal(stream_reader_read(reader, slice, 1, &error), 0);
    assert_int_equal(stream_reader_read(reader, slice, 1, &error), -1);
    assert_string_equal(error.text, "wrong checksum of the payload");
    stream_reader_close(reader);
    unlink(path);
}

/* Garbage after a bare array is seen before its last slice is handed out. */
static void test_garbage_after_bare(void **state)
{
    (void)state;
    float value = 1, read[1];
    static struct array array;
    struct error error = {""};
    char garbage[sizeof value + 7];
    memcpy(garbage, &value, sizeof value);
    memcpy(garbage + sizeof value, "garbage", 7);
    const char *path = save_raw(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
                                garbage, sizeof garbage);
    assert_int_equal(read_first(path, 0, &array, read, &error), -1);
    assert_string_equal(error.text, "after the payload: not an NPY array (bad magic)");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_headers),    cmocka_unit_test(test_refused_headers),
        cmocka_unit_test(test_refused_metadata),   cmocka_unit_test(test_no_array),
        cmocka_unit_test(test_flipped_bytes),      cmocka_unit_test(test_cut_marked),
        cmocka_unit_test(test_cut_bare),           cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_last_slice_is_held), cmocka_unit_test(test_garbage_after_bare),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
