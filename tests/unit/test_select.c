/* Ranges and frames: parts and paddings of arrays. */
#include "lib/io/frame.h"
#include "lib/io/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void range_is(const char *text, int64_t extent, int64_t first, int64_t step, int64_t count)
{
    struct range range;
    struct error error = {""};
    if (range_parse(text, extent, &range, &error))
        fail_msg("%s of %d: %s", text, (int)extent, error.text);
    assert_int_equal(range.first, first);
    assert_int_equal(range.step, step);
    assert_int_equal(range.count, count);
}

/* As Python's slice(...).indices(10) counts. */
static void test_ranges(void **state)
{
    (void)state;
    range_is(":", 10, 0, 1, 10);
    range_is("::", 10, 0, 1, 10);
    range_is("2:5", 10, 2, 1, 3);
    range_is("2:", 10, 2, 1, 8);
    range_is(":3", 10, 0, 1, 3);
    range_is("-3:", 10, 7, 1, 3);
    range_is(":-3", 10, 0, 1, 7);
    range_is("-100:100", 10, 0, 1, 10);
    range_is("::3", 10, 0, 3, 4);
    range_is("1::3", 10, 1, 3, 3);
    range_is("1:9:4", 10, 1, 4, 2);
    range_is("1:10:4", 10, 1, 4, 3);
    range_is("::100", 10, 0, 100, 1);
    range_is("9:10:9223372036854775807", 10, 9, INT64_MAX, 1);
    range_is("5", 10, 5, 1, 1);
    range_is("-1", 10, 9, 1, 1);
    range_is("-10", 10, 0, 1, 1);
}

static void range_refused(const char *text, const char *reason)
{
    struct range range;
    struct error error = {""};
    assert_int_equal(range_parse(text, 10, &range, &error), -1);
    assert_string_equal(error.text, reason);
}

static void test_refused_ranges(void **state)
{
    (void)state;
    range_refused("5:5", "5:5: no element of 10");
    range_refused("7:-5", "7:-5: no element of 10");
    range_refused("10:", "10:: no element of 10");
    range_refused("10", "10: the axis has 10 elements");
    range_refused("-11", "-11: the axis has 10 elements");
    range_refused("::0", "::0: the step must be at least 1");
    range_refused("::-1", "::-1: the step must be at least 1");
    static const char *const malformed[] = {
        "", "a", "1:b", "1:2:3:4", "1 :2", " 1", "1.5", "1,2", "99999999999999999999:", ":::"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        char reason[128];
        strcpy(reason, malformed[i]);
        strcat(reason, ": not a range such as 10:20, -5: or ::2");
        range_refused(malformed[i], reason);
    }
}

static void test_select(void **state)
{
    (void)state;
    const char from[] = "aAbBcCdDeE"
                        "fFgGhHiIjJ"; /* (2, 5, 2 bytes) */
    char to[20];
    select_range(from, 2, 5, 2, &(struct range){1, 1, 3}, to);
    assert_memory_equal(to,
                        "bBcCdD"
                        "gGhHiI",
                        12);
    select_range(from, 2, 5, 2, &(struct range){0, 2, 3}, to);
    assert_memory_equal(to,
                        "aAcCeE"
                        "fFhHjJ",
                        12);
    select_range(from, 1, 10, 2, &(struct range){4, 5, 2}, to);
    assert_memory_equal(to, "eEjJ", 4);
}

static void test_pad_and_crop(void **state)
{
    (void)state;
    const char from[] = "abcdef"
                        "ghijkl"; /* (2, 2, 3) */
    char to[40], back[12];
    frame_pad(from, 2, 2, 3, to, 3, 5, ".", 1);
    assert_memory_equal(to,
                        "abc..def......."
                        "ghi..jkl.......",
                        30);
    frame_crop(to, 2, 3, 5, 0, 0, back, 2, 3, 1);
    assert_memory_equal(back, from, 12);
    frame_crop(to, 2, 3, 5, 1, 1, back, 2, 2, 1);
    assert_memory_equal(back,
                        "ef.."
                        "kl..",
                        8);
    frame_pad(from, 2, 2, 3, to, 3, 5, NULL, 1);
    assert_memory_equal(to, "abcccdefffdefffghiiijkllljklll", 30);
    frame_pad("aAbB", 1, 1, 2, to, 2, 3, NULL, 2);
    assert_memory_equal(to, "aAbBbBaAbBbB", 12);
    frame_pad("aAbB", 1, 1, 2, to, 2, 3, "xX", 2);
    assert_memory_equal(to, "aAbBxXxXxXxX", 12);
    frame_pad(from, 2, 2, 3, to, 2, 3, ".", 1);
    assert_memory_equal(to, from, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_refused_ranges),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_pad_and_crop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
