/* What the stream's tests share: a folder, random arrays, files as bytes. */
#ifndef OCTPIPE_TESTS_STREAM_FILES_H
#define OCTPIPE_TESTS_STREAM_FILES_H

#include "lib/io/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];

static int directory_make(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/octpipe-test.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* The folder must be empty but for what tests remove: tests leave nothing behind. */
static int directory_remove(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* A path in the folder; four may be in use at a time. */
static inline const char *path_of(const char *name)
{
    static char path[4][128];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", directory, name);
    return path[next];
}

static inline int count_files(void)
{
    DIR *list = opendir(directory);
    assert_non_null(list);
    int count = 0;
    while (readdir(list))
        count++;
    closedir(list);
    return count - 2; /* . and .. */
}

static inline uint32_t random_word(void)
{
    static uint64_t x = 88172645463325252;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32);
}

static inline int64_t random_below(int64_t bound)
{
    return random_word() % bound;
}

static inline void random_bytes(unsigned char *data, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        data[i] = (unsigned char)random_word();
}

static inline void save_bytes(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The bytes of a file, which the caller frees. */
static inline unsigned char *load_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

static inline void write_arrays(const char *path, const struct array *array,
                                unsigned char *const *data, int count)
{
    struct stream_writer *writer;
    struct error error = {""};
    assert_int_equal(stream_writer_open(&writer, path, &error), 0);
    for (int i = 0; i < count; i++) {
        assert_int_equal(stream_writer_begin(writer, &array[i], &error), 0);
        int64_t slices = array_slices(&array[i]), slice_bytes = array_bytes(&array[i]) / slices;
        for (int64_t done = 0, part; done < slices; done += part) {
            part = 1 + random_below(slices - done);
            assert_int_equal(
                stream_writer_write(writer, data[i] + done * slice_bytes, part, &error), 0);
        }
        assert_int_equal(stream_writer_end(writer, &error), 0);
    }
    assert_int_equal(stream_writer_close(writer, &error), 0);
}

static inline bool same_array(const struct array *a, const struct array *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) &&
           a->marked == b->marked && !strcmp(a->kind, b->kind) && !strcmp(a->axes, b->axes) &&
           !memcmp(a->spacing, b->spacing, sizeof a->spacing) &&
           !memcmp(a->original, b->original, sizeof a->original) &&
           !memcmp(a->padded, b->padded, sizeof a->padded) && a->index == b->index &&
           a->of == b->of && !strcmp(a->history, b->history);
}

/* Read a file to its end. Returns −1 with the reason, 0 when it holds exactly the arrays expected,
 * 1 when it reads as something else. */
static inline int read_arrays(const char *path, const struct array *expected,
                              unsigned char *const *data, int count, struct error *error)
{
    struct stream_reader *reader;
    static struct array array;
    assert_int_equal(stream_reader_open(&reader, &path, 1, 0, error), 0);
    int found = 0, status;
    bool equal = true;
    while ((status = stream_reader_next(reader, &array, error)) > 0) {
        int64_t slices = array_slices(&array), slice_bytes = array_bytes(&array) / slices;
        unsigned char *payload = malloc((size_t)array_bytes(&array));
        assert_non_null(payload);
        for (int64_t done = 0, part; done < slices; done += part) {
            part = 1 + random_below(slices - done);
            status = stream_reader_read(reader, payload + done * slice_bytes, part, error);
            if (status < 0)
                break;
        }
        if (status >= 0)
            equal = equal && found < count && same_array(&array, &expected[found]) &&
                    !memcmp(payload, data[found], (size_t)array_bytes(&array));
        free(payload);
        found++;
        if (status < 0)
            break;
    }
    stream_reader_close(reader);
    return status < 0 ? -1 : !(equal && found == count);
}

#endif
