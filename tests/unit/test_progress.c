#include "lib/core/progress.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Put `fd` in the place of stderr or stdout; returns the one that was there. */
static int replace(int place, int fd)
{
    int before = dup(place);
    assert_true(before >= 0 && dup2(fd, place) == place);
    return before;
}

static void restore(int place, int before)
{
    assert_true(dup2(before, place) == place);
    close(before);
}

/* 50 of 400 steps in 100 s and an end after 200, with stderr at `fd`. */
static void report(int fd, bool silent)
{
    int before = replace(STDERR_FILENO, fd);
    struct progress progress;
    progress_start(&progress, "prog", "steps", 400, silent);
    progress_advance(&progress, 10); /* too early for a line */
    progress.start -= 100;
    progress.last -= 100;
    progress_advance(&progress, 40);
    progress_advance(&progress, 150); /* too soon after the last line */
    progress_finish(&progress);
    restore(STDERR_FILENO, before);
}

static char *lines_in_a_pipe(bool silent)
{
    int end[2];
    assert_int_equal(pipe(end), 0);
    report(end[1], silent);
    close(end[1]);
    static char text[512];
    ssize_t length = read(end[0], text, sizeof text - 1);
    assert_true(length >= 0);
    close(end[0]);
    text[length] = '\0';
    return text;
}

static void test_dated_lines_outside_a_terminal(void **state)
{
    (void)state;
    char *text = lines_in_a_pipe(false);
    /* "2024-06-01 12:00:00 " */
    assert_true(strlen(text) > 20 && text[4] == '-' && text[13] == ':' && text[19] == ' ');
    const char *first = "prog: 50/400 steps, 2.0 s each, 11:40 left\n";
    assert_memory_equal(text + 20, first, strlen(first));
    const char *second = text + 20 + strlen(first);
    assert_true(strlen(second) > 20);
    assert_string_equal(second + 20, "prog: 200 steps, 2.0/s, 1:40\n");
}

static void test_silence(void **state)
{
    (void)state;
    assert_string_equal(lines_in_a_pipe(true), "");
}

static void test_a_live_line_on_a_terminal(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    int null = open("/dev/null", O_WRONLY);
    assert_true(terminal >= 0 && null >= 0);
    int before = replace(STDOUT_FILENO, null);
    report(terminal, false);
    restore(STDOUT_FILENO, before);
    close(terminal);
    char text[512];
    size_t used = 0;
    for (ssize_t got; (got = read(master, text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)got;
    text[used] = '\0';
    assert_string_equal(text, "\r\033[Kprog: 50/400 steps, 2.0 s each, 11:40 left"
                              "\r\033[Kprog: 200 steps, 2.0/s, 1:40\r\n");
    close(null);
    close(master);
}

static void test_nothing_for_short_work(void **state)
{
    (void)state;
    int end[2];
    assert_int_equal(pipe(end), 0);
    int before = replace(STDERR_FILENO, end[1]);
    struct progress progress;
    progress_start(&progress, "prog", "slices", 0, false);
    progress_advance(&progress, 3);
    progress_finish(&progress);
    restore(STDERR_FILENO, before);
    close(end[1]);
    char byte;
    assert_int_equal(read(end[0], &byte, 1), 0);
    close(end[0]);
}

/* Last: what interrupts once interrupts for good. */
static void test_a_reader_that_went_away_interrupts(void **state)
{
    (void)state;
    int end[2];
    assert_int_equal(pipe(end), 0);
    int before = replace(STDOUT_FILENO, end[1]);
    close(end[1]);
    progress_watch_stdout();
    bool early = progress_interrupted();
    close(end[0]);
    bool late = progress_interrupted();
    restore(STDOUT_FILENO, before);
    assert_false(early);
    assert_true(late);
    assert_int_equal(progress_signal(), SIGPIPE);
    progress_interrupt(SIGTERM);
    assert_int_equal(progress_signal(), SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dated_lines_outside_a_terminal),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_a_live_line_on_a_terminal),
        cmocka_unit_test(test_nothing_for_short_work),
        cmocka_unit_test(test_a_reader_that_went_away_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
