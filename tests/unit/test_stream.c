/* What the stream writes is what it reads, and how it is written. */
#include "tests/unit/stream_files.h"

#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

enum { ARRAYS = 3 };

struct stream {
    const char *path;
    struct array array[ARRAYS];
    unsigned char *data[ARRAYS];
    int count;
};

/* Up to size - 1 bytes of characters that JSON, NPY and UTF-8 treat in different ways. */
static void random_text(char *text, size_t size)
{
    static const char narrow[] = " a\"\\'#{/\t\x01\x7f";
    static const char wide[][5] = {"\xc3\xa9", "\xe2\x86\x92", "\xf0\x9f\x91\x81"};
    for (int64_t left = random_below((int64_t)size / 4); left; left--) {
        if (random_word() % 4) {
            *text++ = narrow[random_below(sizeof narrow - 1)];
        } else {
            text = stpcpy(text, wide[random_below(3)]);
        }
    }
    *text = 0;
}

static void random_metadata(struct array *array)
{
    array->marked = true;
    random_text(array->kind, sizeof array->kind);
    random_text(array->axes, sizeof array->axes);
    for (int i = 0; i < 3; i++) {
        array->spacing[i] = random_word() % 2 ? random_below(1 << 20) / 0x1p8 : 0;
        array->original[i] = 1 + random_below(1000);
        array->padded[i] = 1 + random_below(1000);
    }
    array->index = random_below(1LL << 40);
    array->of = random_below(3);
    char line[200];
    for (int entries = (int)random_below(8); entries; entries--) {
        random_text(line, sizeof line - 1);
        strcat(line, "x"); /* an entry is not empty */
        array_add_history(array, line);
    }
}

static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_F64, DTYPE_U8,
                                   DTYPE_I8,  DTYPE_U16, DTYPE_I16, DTYPE_U32,
                                   DTYPE_I32, DTYPE_U64, DTYPE_I64, DTYPE_BOOL};

/* Arrays up to about a megabyte, so that some slices are longer than every buffer. */
static void random_stream(struct stream *stream)
{
    *stream = (struct stream){.count = 1 + (int)random_below(ARRAYS)};
    for (int i = 0; i < stream->count; i++) {
        struct array *array = &stream->array[i];
        array->dtype = types[random_below(sizeof types / sizeof types[0])];
        array->rank = (int)random_below(ARRAY_RANK + 1);
        int64_t most = random_word() % 8 ? 100 : 200000;
        for (int axis = 0; axis < array->rank; axis++) {
            int64_t extent = 1 + random_below(random_word() % 2 ? 4 : most);
            array->shape[axis] = extent <= most ? extent : 1;
            most /= array->shape[axis];
        }
        array->index = i; /* the position, as the reader tells of bare arrays */
        if (random_word() % 2)
            random_metadata(array);
        stream->data[i] = malloc((size_t)array_bytes(array));
        assert_non_null(stream->data[i]);
        random_bytes(stream->data[i], array_bytes(array));
    }
}

static void free_stream(struct stream *stream)
{
    for (int i = 0; i < stream->count; i++)
        free(stream->data[i]);
}

static void *write_stream(void *argument)
{
    const struct stream *stream = argument;
    write_arrays(stream->path, stream->array, stream->data, stream->count);
    return NULL;
}

static void test_round_trip_file(void **state)
{
    (void)state;
    struct error error = {""};
    static struct stream stream;
    for (int trial = 0; trial < 200; trial++) {
        random_stream(&stream);
        stream.path = path_of("file.npy");
        write_stream(&stream);
        assert_int_equal(read_arrays(stream.path, stream.array, stream.data, stream.count, &error),
                         0);
        unlink(stream.path);
        free_stream(&stream);
    }
    assert_int_equal(count_files(), 0);
}

static void test_round_trip_pipe(void **state)
{
    (void)state;
    struct error error = {""};
    static struct stream stream;
    const char *path = path_of("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int trial = 0; trial < 100; trial++) {
        random_stream(&stream);
        stream.path = path;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_stream, &stream), 0);
        assert_int_equal(read_arrays(path, stream.array, stream.data, stream.count, &error), 0);
        pthread_join(thread, NULL);
        free_stream(&stream);
    }
    unlink(path);
}

/* Read as f32, by parts, across arrays that are left half read; and several files as one stream. */
static void test_read_f32_of_files(void **state)
{
    (void)state;
    const char *paths[2] = {path_of("a.npy"), path_of("b.npy")};
    static struct array array;
    array = (struct array){.dtype = DTYPE_I16, .rank = 2, .shape = {3, 2}, .marked = true};
    int16_t values[6] = {1, -2, 3, -4, 5, -6};
    write_arrays(paths[0], &array, (unsigned char *[]){(unsigned char *)values}, 1);
    array.dtype = DTYPE_F32;
    array.marked = false;
    float numbers[6] = {0.5f, 1.5f, -2.5f, 3.5f, 4.5f, 5.5f};
    write_arrays(paths[1], &array, (unsigned char *[]){(unsigned char *)numbers}, 1);

    struct stream_reader *reader;
    struct error error = {""};
    float read[4];
    assert_int_equal(stream_reader_open(&reader, paths, 2, 0, &error), 0);
    assert_int_equal(stream_reader_next(reader, &array, &error), 1);
    assert_string_equal(stream_reader_name(reader), paths[0]);
    assert_int_equal(stream_reader_read_f32(reader, read, 1, &error), 0);
    assert_true(read[0] == 1 && read[1] == -2);
    assert_int_equal(stream_reader_next(reader, &array, &error), 1);
    assert_string_equal(stream_reader_name(reader), paths[1]);
    assert_int_equal(array.index, 1); /* the position of a bare array */
    assert_int_equal(stream_reader_read_f32(reader, read, 2, &error), 0);
    assert_true(read[0] == 0.5f && read[3] == 3.5f);
    assert_int_equal(stream_reader_read_f32(reader, read, 2, &error), -1);
    assert_string_equal(error.text, "2 slices are asked for, 1 are left");
    assert_int_equal(stream_reader_read(reader, read, -1, &error), -1);
    assert_int_equal(stream_reader_next(reader, &array, &error), 0);
    assert_int_equal(stream_reader_next(reader, &array, &error), 0);
    stream_reader_close(reader);
    unlink(paths[0]);
    unlink(paths[1]);
}

static void refuse_nan_in(enum dtype dtype, const void *values, const char *reason)
{
    const char *path = path_of("nan.npy");
    static struct array array;
    array = (struct array){.dtype = dtype, .rank = 2, .shape = {2, 2}};
    write_arrays(path, &array, (unsigned char *const *)&values, 1);
    struct stream_reader *reader;
    struct error error = {""};
    float read[4];
    for (int refuse = 0; refuse < 2; refuse++) {
        assert_int_equal(stream_reader_open(&reader, &path, 1, 0, &error), 0);
        stream_reader_refuse_nan(reader, refuse);
        assert_int_equal(stream_reader_next(reader, &array, &error), 1);
        int status = stream_reader_read_f32(reader, read, 2, &error);
        assert_int_equal(status, refuse && *reason ? -1 : 0);
        stream_reader_close(reader);
    }
    assert_string_equal(error.text, reason);
    unlink(path);
}

static void test_refuse_nan(void **state)
{
    (void)state;
    refuse_nan_in(DTYPE_F32, (float[]){1, 2, 3, 4}, "");
    refuse_nan_in(DTYPE_F32, (float[]){1, 2, 3, NAN}, "slice 1 holds NaN or infinity");
    refuse_nan_in(DTYPE_F32, (float[]){1, -INFINITY, 3, NAN}, "slice 0 holds NaN or infinity");
    refuse_nan_in(DTYPE_F16, (uint16_t[]){0, 0, 0x7c00, 0}, "slice 1 holds NaN or infinity");
    refuse_nan_in(DTYPE_F64, (double[]){0, 1e39, 0, 0}, "slice 0 holds NaN or infinity");
}

/* Headers as NumPy pads them; marked arrays start at multiples of 64; a trailer after each. */
static void test_layout(void **state)
{
    (void)state;
    const char *path = path_of("layout.npy");
    static struct array array[2];
    array[0] = (struct array){.dtype = DTYPE_U8, .rank = 1, .shape = {5}, .marked = true};
    array[1] = (struct array){.dtype = DTYPE_F32,
                              .rank = 2,
                              .shape = {1, 2},
                              .marked = true,
                              .kind = "volume",
                              .history = "caf\xc3\xa9 \xf0\x9f\x91\x81 \xff"};
    write_arrays(path, array,
                 (unsigned char *[]){(unsigned char *)"12345", (unsigned char *)"12345678"}, 2);
    size_t size;
    unsigned char *data = load_bytes(path, &size), *at = data;
    const char *texts[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5,), } # octpipe "
        "{\"version\":1,\"index\":0,\"history\":[]} ",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), } # octpipe {\"version\":1,"
        "\"kind\":\"volume\",\"index\":0,\"history\":[\"caf\\u00e9 \\ud83d\\udc41 \\u00ff\"]} ",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (",
    };
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(at, "\x93NUMPY\x01\x00", 8);
        int length = 10 + at[8] + 256 * at[9];
        assert_int_equal(length % 64, 0);
        assert_int_equal(at[length - 1], '\n');
        if (i % 2 == 0)
            assert_int_equal((at - data) % 64, 0);
        assert_memory_equal(at + 10, texts[i], strlen(texts[i]));
        int payload = i == 0 ? 5 : i == 2 ? 8 : atoi((char *)at + 10 + strlen(texts[i]));
        if (i % 2)
            assert_memory_equal(at + length, "{\"status\":\"complete\",\"bytes\":", 29);
        at += length + payload;
    }
    assert_int_equal(at - data, size);
    assert_int_equal(size % 64, 0);
    free(data);
    unlink(path);
}

/* NumPy refuses headers over 10 000 characters: the oldest entries give way. */
static void test_long_history(void **state)
{
    (void)state;
    const char *path = path_of("long.npy");
    static struct array array;
    for (int wide = 0; wide < 2; wide++) {
        array = (struct array){.dtype = DTYPE_U8, .rank = 0, .marked = true};
        memset(array.kind, '\xff', sizeof array.kind - 1);
        for (int i = 0; i < 300; i++) {
            char line[64];
            snprintf(line, sizeof line, "stage-%d %s", i, wide ? "\xff\xff\xff\xff\xff\xff" : "");
            array_add_history(&array, line);
        }
        if (wide) { /* an entry that grows sixfold when it is escaped */
            char absurd[2000];
            memset(absurd, 1, sizeof absurd - 1);
            absurd[sizeof absurd - 1] = 0;
            array_add_history(&array, absurd);
        }
        write_arrays(path, &array, (unsigned char *[]){(unsigned char *)"x"}, 1);
        size_t size;
        unsigned char *data = load_bytes(path, &size);
        int length = 10 + data[8] + 256 * data[9];
        assert_in_range(length, 100, 10000);
        data[length - 1] = 0;
        const char *marking = strstr((char *)data + 10, "\"history\":[\"(earlier stages cut)\"");
        assert_int_equal(marking != NULL, wide);
        assert_int_equal(strstr((char *)data + 10, "stage-299") != NULL, !wide);
        free(data);
        unlink(path);
    }
}

/* Whether what is missing between numbered arrays is told; number_of: index, of; …; −1. */
static void numbered(const int *number_of, const char *reason)
{
    static struct array array[8];
    unsigned char byte = 1, *data[8];
    struct error error = {"none"};
    const char *path = path_of("numbered.npy");
    int count = 0;
    for (; number_of[2 * count] >= 0; count++) {
        data[count] = &byte;
        array[count] = (struct array){.dtype = DTYPE_U8,
                                      .marked = true,
                                      .index = number_of[2 * count],
                                      .of = number_of[2 * count + 1]};
    }
    write_arrays(path, array, data, count);
    assert_int_equal(read_arrays(path, array, data, count, &error), reason ? -1 : 0);
    assert_string_equal(error.text, reason ? reason : "none");
    unlink(path);
}

static void test_missing_arrays(void **state)
{
    (void)state;
    numbered((const int[]){0, 3, 1, 3, 2, 3, -1}, NULL);
    numbered((const int[]){2, 4, 3, 4, 0, 1, 0, 2, 1, 2, -1}, NULL); /* joined by cat */
    numbered((const int[]){0, 0, 1, 0, 0, 0, -1}, NULL);             /* their number is unknown */
    numbered((const int[]){0, 3, 1, 3, -1}, "array 3: number 3 of 3 is missing");
    numbered((const int[]){0, 2, -1}, "array 2: number 2 of 2 is missing");
    numbered((const int[]){0, 3, 2, 3, -1}, "array 2: number 2 of 3 is missing");
    numbered((const int[]){0, 2, 0, 2, 1, 2, -1}, "array 2: number 2 of 2 is missing");
    numbered((const int[]){0, 2, 1, 3, 2, 3, -1}, "array 2: number 2 of 2 is missing");
    numbered((const int[]){0, 2, 0, 0, -1}, "array 2: number 2 of 2 is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_file),
        cmocka_unit_test(test_round_trip_pipe),
        cmocka_unit_test(test_read_f32_of_files),
        cmocka_unit_test(test_refuse_nan),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_long_history),
        cmocka_unit_test(test_missing_arrays),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
