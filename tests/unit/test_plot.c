/* Curves of a log: where they lie, and what is no log. */
#include "lib/training/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct error error;

static int read_text(struct plot_table *table, const char *text)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    int status = plot_read(table, file, &error);
    fclose(file);
    return status;
}

/* Is there a black pixel there or beside it? */
static bool black(const struct picture *p, int64_t row, int64_t column)
{
    bool found = false;
    for (int64_t y = row - 1; y <= row + 1; y++)
        for (int64_t x = column - 1; x <= column + 1; x++)
            found |= p->gray[y * p->columns + x] == 0;
    return found;
}

static void test_curve(void **state)
{
    (void)state;
    struct plot_table table;
    struct picture linear, logarithmic;
    /* A straight line from the lower left to the upper right corner; "empty" and "seconds" are
     * left out. */
    assert_int_equal(
        read_text(&table, "step\tseconds\tloss\tempty\n0\t1\t1\t\n50\t2\t\t\n100\t3\t100\t\n"), 0);
    assert_int_equal(table.rows, 3);
    assert_int_equal(table.columns, 4);
    assert_true(isnan(table.value[4 + 2]) && table.value[8 + 2] == 100.0);
    assert_int_equal(plot_draw(&table, false, &linear, &error), 0);
    assert_int_equal(plot_draw(&table, true, &logarithmic, &error), 0);
    assert_int_equal(linear.columns, 560);
    assert_int_equal(linear.rows, 220);
    for (int i = 0; i <= 10; i++) { /* the frame is 162 by 460 pixels from (30, 84) on */
        int64_t row = 30 + (int64_t)lrint(161 - 161 * 0.1 * i);
        int64_t column = 84 + (int64_t)lrint(459 * 0.1 * i);
        assert_true(black(&linear, row, column));
        assert_true(black(&logarithmic, row, column));
    }
    assert_false(black(&linear, 35, 100));
    picture_free(&linear);
    picture_free(&logarithmic);
    plot_free(&table);
}

/* The middle value 10 of 1 … 100 lies at a tenth, or on a logarithmic axis in the middle. */
static void test_axes(void **state)
{
    (void)state;
    struct plot_table table;
    struct picture picture;
    assert_int_equal(read_text(&table, "step\tloss\n0\t1\n50\t10.9\n100\t100\n"), 0);
    assert_int_equal(plot_draw(&table, false, &picture, &error), 0);
    assert_true(black(&picture, 30 + 145, 84 + 230));
    picture_free(&picture);
    plot_free(&table);
    assert_int_equal(read_text(&table, "step\tloss\n0\t1\n50\t10\n100\t100\n"), 0);
    assert_int_equal(plot_draw(&table, true, &picture, &error), 0);
    assert_true(black(&picture, 30 + 80, 84 + 230));
    picture_free(&picture);
    plot_free(&table);
}

/* A single row, and a column that does not change, have a picture too. */
static void test_flat(void **state)
{
    (void)state;
    struct plot_table table;
    struct picture picture;
    assert_int_equal(read_text(&table, "step\ta\tb\tc\n7\t0\t-2\t1e-300\n"), 0);
    assert_int_equal(plot_draw(&table, true, &picture, &error), 0);
    assert_int_equal(picture.columns, 2 * 560);
    assert_int_equal(picture.rows, 2 * 220);
    picture_free(&picture);
    plot_free(&table);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"loss\t1\n", "not a training log"},
        {"step\tloss\n", "no rows"},
        {"step\tloss\n1\n", "line 2 has 1 fields, not 2"},
        {"step\tloss\n2\t1\n2\t1\n", "line 3: steps do not ascend"},
        {"step\tloss\n1\tx\n", "line 2: \"x\" is no number"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct plot_table table;
        assert_int_equal(read_text(&table, texts[i][0]), -1);
        assert_non_null(strstr(error.text, texts[i][1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
