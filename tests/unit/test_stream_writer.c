/* Where the stream is written, and what a writer leaves when it gives up. */
#include "tests/unit/stream_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

/* The file takes its name when it is complete; what was there before stays until then. */
static void test_temporary_name(void **state)
{
    (void)state;
    const char *path = path_of("kept.npy"), *link = path_of("link.npy");
    static struct array array;
    array = (struct array){.dtype = DTYPE_U8, .rank = 1, .shape = {3}, .marked = true};
    struct error error = {""};
    struct stream_writer *writer;
    for (int ending = 0; ending < 4; ending++) {
        save_bytes(path, "before", 6);
        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(symlink("kept.npy", link), 0);
        assert_int_equal(stream_writer_open(&writer, link, &error), 0);
        assert_int_equal(stream_writer_begin(writer, &array, &error), 0);
        assert_int_equal(stream_writer_write(writer, "abc", ending == 2 ? 2 : 3, &error), 0);
        assert_int_equal(count_files(), 3);
        if (ending == 0) {
            stream_writer_abort(writer);
        } else if (ending == 1) {
            stream_writers_discard(); /* as a signal handler does */
            assert_int_equal(count_files(), 2);
            stream_writer_abort(writer);
        } else if (ending == 2) {
            assert_int_equal(stream_writer_end(writer, &error), -1);
            assert_int_equal(stream_writer_close(writer, &error), -1);
        } else {
            assert_int_equal(stream_writer_end(writer, &error), 0);
            assert_int_equal(stream_writer_close(writer, &error), 0);
        }
        assert_int_equal(count_files(), 2);
        struct stat status;
        assert_int_equal(lstat(link, &status), 0);
        assert_true(S_ISLNK(status.st_mode));
        assert_int_equal(lstat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0640);
        assert_int_equal(status.st_size == 6, ending < 3);
        unlink(path);
        unlink(link);
    }
    stream_writer_abort(NULL);
}

static void open_refused(const char *path, const char *reason)
{
    struct stream_writer *writer;
    struct error error = {""};
    assert_int_equal(stream_writer_open(&writer, path, &error), -1);
    assert_null(writer);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, error.text);
}

static void test_places(void **state)
{
    (void)state;
    open_refused(directory, "Is a directory");
    open_refused("", "No such file");
    open_refused(path_of("missing/a.npy"), "No such file");
    open_refused(path_of("missing/"), "No such file");
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal))
        open_refused(ptsname(terminal), "not written to a terminal");
    close(terminal);

    static struct array array;
    array = (struct array){.dtype = DTYPE_U8, .rank = 1, .shape = {3}, .marked = true};
    struct stat status;
    write_arrays("/dev/null", &array, (unsigned char *[]){(unsigned char *)"abc"}, 1);
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    assert_int_equal(count_files(), 0);

    struct stream_writer *writer;
    struct error error = {""};
    assert_int_equal(stream_writer_open(&writer, "/dev/full", &error), 0);
    assert_int_equal(stream_writer_begin(writer, &array, &error), -1);
    assert_string_equal(error.text, "writing /dev/full: No space left on device");
    stream_writer_abort(writer);
}

static void test_many_files(void **state)
{
    (void)state;
    enum { MOST = 16 };
    struct stream_writer *writer[MOST];
    struct error error = {""};
    char name[16];
    for (int i = 0; i < MOST; i++) {
        snprintf(name, sizeof name, "%d.npy", i);
        assert_int_equal(stream_writer_open(&writer[i], path_of(name), &error), 0);
    }
    open_refused(path_of("more.npy"), "more than 16 files");
    for (int i = 0; i < MOST; i++)
        stream_writer_abort(writer[i]);
    assert_int_equal(count_files(), 0);
}

static void test_wrong_use(void **state)
{
    (void)state;
    struct stream_writer *writer;
    struct error error = {""};
    static struct array array;
    const char *path = path_of("wrong.npy");
    assert_int_equal(stream_writer_open(&writer, path, &error), 0);
    assert_int_equal(stream_writer_end(writer, &error), -1);
    array = (struct array){.dtype = DTYPE_BF16, .rank = 1, .shape = {3}};
    assert_int_equal(stream_writer_begin(writer, &array, &error), -1);
    assert_non_null(strstr(error.text, "NPY has no type for bf16"));
    array = (struct array){.dtype = DTYPE_U8, .rank = 2, .shape = {3, 0}};
    assert_int_equal(stream_writer_begin(writer, &array, &error), -1);
    assert_non_null(strstr(error.text, "wrong.npy: an array without elements: u1 (3, 0)"));
    array = (struct array){.dtype = DTYPE_U8, .rank = 1, .shape = {3}};
    assert_int_equal(stream_writer_begin(writer, &array, &error), 0);
    assert_int_equal(stream_writer_begin(writer, &array, &error), -1);
    assert_int_equal(stream_writer_write(writer, "abcd", 4, &error), -1);
    assert_non_null(strstr(error.text, "1 slices too many"));
    assert_int_equal(stream_writer_write(writer, "abcd", -1, &error), -1);
    stream_writer_abort(writer);
    assert_int_equal(count_files(), 0);
}

enum abort_point { BETWEEN_ARRAYS, AFTER_BEGIN, INSIDE, BEFORE_TRAILER, BEFORE_ALL, ABORT_POINTS };

struct failing {
    const char *path;
    enum abort_point point;
};

/* A writer on a pipe that gives up somewhere. */
static void *write_and_abort(void *argument)
{
    const struct failing *failing = argument;
    static struct array array;
    static unsigned char data[4][70000];
    array =
        (struct array){.dtype = DTYPE_U8, .rank = 2, .shape = {4, sizeof data[0]}, .marked = true};
    struct stream_writer *writer;
    assert_int_equal(stream_writer_open(&writer, failing->path, NULL), 0);
    if (failing->point != BEFORE_ALL) {
        assert_int_equal(stream_writer_begin(writer, &array, NULL), 0);
        assert_int_equal(stream_writer_write(writer, data, 4, NULL), 0);
        assert_int_equal(stream_writer_end(writer, NULL), 0);
    }
    if (failing->point != BETWEEN_ARRAYS && failing->point != BEFORE_ALL) {
        assert_int_equal(stream_writer_begin(writer, &array, NULL), 0);
        if (failing->point != AFTER_BEGIN)
            assert_int_equal(
                stream_writer_write(writer, data, failing->point == INSIDE ? 2 : 4, NULL), 0);
    }
    stream_writer_abort(writer);
    return NULL;
}

/* A pipe that was given up never reads as whole. */
static void test_abort_on_pipe(void **state)
{
    (void)state;
    static const char *const reasons[ABORT_POINTS] = {
        "array 2: the program that writes it gave up",
        "array 2: the payload is cut: 0 of 280000 bytes are there",
        "array 2: the payload is cut: 140000 of 280000 bytes are there",
        "array 2: no trailer after the payload; it may be cut",
        "empty; it holds no array",
    };
    const char *path = path_of("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int point = 0; point < ABORT_POINTS; point++) {
        struct failing failing = {path, (enum abort_point)point};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, write_and_abort, &failing), 0);
        struct stream_reader *reader;
        struct error error = {""};
        static struct array array;
        int arrays = 0, status;
        assert_int_equal(stream_reader_open(&reader, &path, 1, 0, &error), 0);
        while ((status = stream_reader_next(reader, &array, &error)) > 0)
            arrays++;
        pthread_join(thread, NULL);
        assert_int_equal(status, -1);
        assert_string_equal(error.text, reasons[point]);
        stream_reader_close(reader);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_temporary_name), cmocka_unit_test(test_places),
        cmocka_unit_test(test_many_files),     cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_abort_on_pipe),
    };
    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
