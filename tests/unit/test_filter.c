/* The frame of a filter, where the pipe tests cannot reach it: each case is a program of its own,
 * run in a child process. */
#include "lib/core/progress.h"
#include "lib/io/filter.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct option table[] = {FILTER_OPTIONS, {0}};
static const struct program program = {
    .name = "prog", .purpose = "test", .operands = "[FILE...]", .options = table};

static struct filter filter;
static char complaint[1024]; /* what the last child wrote to stderr */

/* The wait status of a child that starts a filter and runs `body`. */
static int status_of(void (*body)(void))
{
    int end[2], status;
    assert_int_equal(pipe(end), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(end[1], STDERR_FILENO);
        signal(SIGINT, SIG_DFL);
        filter_start(&filter, &program, 1, (char *[]){(char *)"prog", NULL});
        body();
        _exit(0);
    }
    close(end[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(end[0], complaint + used, sizeof complaint - 1 - used)) > 0;)
        used += (size_t)got;
    complaint[used] = '\0';
    close(end[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_complaint(void (*body)(void), const char *expected)
{
    int status = status_of(body);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 2);
    assert_string_equal(complaint, expected);
}

static void assert_ends_by(void (*body)(void), int number)
{
    int status = status_of(body);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
    assert_string_equal(complaint, "");
}

static void assert_succeeds(void (*body)(void))
{
    int status = status_of(body);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("wait status %x: %s", (unsigned)status, complaint);
}

static void one_signal(void)
{
    raise(SIGINT);
}

static void one_deferred_signal(void)
{
    filter_defer_signals();
    if (progress_interrupted())
        filter_fail(&filter, "interrupted before the signal");
    raise(SIGINT);
    if (!progress_interrupted())
        filter_fail(&filter, "the signal is not noticed");
}

static void two_deferred_signals(void)
{
    filter_defer_signals();
    raise(SIGINT);
    raise(SIGTERM);
}

static void deferred_signal_and_failure(void)
{
    one_deferred_signal();
    filter_check(&filter, error_set(&filter.error, "interrupted"));
}

static void test_signals(void **state)
{
    (void)state;
    assert_ends_by(one_signal, SIGINT);
    assert_succeeds(one_deferred_signal);
    assert_ends_by(two_deferred_signals, SIGTERM);
    assert_ends_by(deferred_signal_and_failure, SIGINT);
}

static void fail_plainly(void)
{
    filter_fail(&filter, "%d of %s", 3, "them");
}

static void pass_a_check(void)
{
    if (filter_check(&filter, 7) != 7)
        filter_fail(&filter, "the status is lost");
}

static void allocate_too_much(void)
{
    filter_allocate(&filter, INT64_C(1) << 40, INT64_C(1) << 40);
}

static void allocate_less_than_nothing(void)
{
    filter_allocate(&filter, -1, 4);
}

static void allocate_nothing(void)
{
    free(filter_allocate(&filter, 0, 4));
}

static void test_failures(void **state)
{
    (void)state;
    assert_complaint(fail_plainly, "prog: 3 of them\n");
    assert_complaint(allocate_too_much,
                     "prog: absurd size: 1099511627776 times 1099511627776 bytes\n");
    assert_complaint(allocate_less_than_nothing, "prog: absurd size: -1 times 4 bytes\n");
    assert_succeeds(allocate_nothing);
    assert_succeeds(pass_a_check);
}

static void notes(void)
{
    filter_note(&filter, "note %d", 1);
    filter_detail(&filter, "not shown");
    filter_settings.verbose = true;
    filter_detail(&filter, "detail");
    filter_settings.quiet = true;
    filter_note(&filter, "not shown");
}

static void test_notes(void **state)
{
    (void)state;
    assert_succeeds(notes);
    assert_string_equal(complaint, "prog: note 1\nprog: detail\n");
}

static struct array array;

static void expect_volume(void)
{
    filter_expect_volume(&filter, &array);
}

static void expect_latent_of_4(void)
{
    filter_expect_latent(&filter, &array, 4);
}

static void expect_any_latent(void)
{
    filter_expect_latent(&filter, &array, 0);
}

static void test_expectations(void **state)
{
    (void)state;
    array = (struct array){.dtype = DTYPE_F32, .rank = 4, .shape = {2, 4, 3, 5}};
    assert_succeeds(expect_latent_of_4);
    assert_complaint(expect_volume, "prog: a volume u1 or f4 (D,H,W) is expected, not an array f4 "
                                    "(2, 4, 3, 5)\n");
    array.shape[1] = 3;
    assert_succeeds(expect_any_latent);
    assert_complaint(expect_latent_of_4, "prog: a latent f4 (D,4,H,W) is expected, not an array f4 "
                                         "(2, 3, 3, 5)\n");
    array.dtype = DTYPE_U8;
    assert_complaint(expect_any_latent, "prog: a latent f4 (D,C,H,W) is expected, not an array u1 "
                                        "(2, 3, 3, 5)\n");
    array.rank = 3;
    assert_succeeds(expect_volume);
    strcpy(array.kind, "labels");
    assert_complaint(expect_volume, "prog: a volume u1 or f4 (D,H,W) is expected, not labels u1 "
                                    "(2, 3, 3)\n");
}

int main(void)
{
    setenv("OMP_WAIT_POLICY", "passive", true); /* else filter_start runs this program again */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_expectations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
