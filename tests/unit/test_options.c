#include "lib/core/options.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct {
    bool fast, loud;
    int64_t steps, memory;
    double rate, clip;
    const char *path;
    int color;
    struct option_shape shape;
} settings;

static const char *const colors[] = {"red", "green", "blue", NULL};

/* clang-format off */
static const struct option table[] = {
    {.name = "fast", .letter = 'f', .type = OPTION_FLAG, .target = &settings.fast,
     .meaning = "be fast"},
    {.name = "loud", .letter = 'l', .type = OPTION_FLAG, .target = &settings.loud,
     .no_result = true, .meaning = "be loud"},
    {.name = "steps", .letter = 'n', .type = OPTION_INT, .target = &settings.steps, .low = 1,
     .high = 1000, .meaning = "number of steps"},
    {.name = "memory", .type = OPTION_BYTES, .target = &settings.memory, .no_result = true,
     .meaning = "memory"},
    {.name = "rate", .type = OPTION_REAL, .target = &settings.rate, .low = 0, .high = INFINITY,
     .meaning = "rate | speed"},
    {.name = "clip", .type = OPTION_CLIP, .target = &settings.clip, .meaning = "clip"},
    {.name = "path", .letter = 'p', .type = OPTION_STRING, .target = &settings.path,
     .argument = "FILE", .meaning = "a file"},
    {.name = "color", .type = OPTION_CHOICE, .target = &settings.color, .choices = colors,
     .meaning = "a color"},
    {.name = "shape", .type = OPTION_SHAPE, .target = &settings.shape, .unset = "the input's",
     .meaning = "a shape"},
    {0},
};
/* clang-format on */

static const struct option strict_table[] = {
    {.name = "path",
     .letter = 'p',
     .type = OPTION_STRING,
     .target = &settings.path,
     .required = true,
     .meaning = "a file"},
    {0},
};

static const struct program program = {
    .name = "paint-it",
    .purpose = "paint volumes",
    .input = "volume (D,H,W)",
    .output = "volume (D,H,W)",
    .operands = "[FILE...]",
    .details = "First line.\n\n.Second 'line' \\ end.\n    verbatim  text\nlast",
    .example = "paint-it --color red a.npy",
    .options = table,
};

enum { WORDS = 16 };

/* A command line of its own, since parsing moves the operands. */
struct line {
    int argc, operands;
    char *argv[WORDS];
    struct error error;
};

static struct line line_of(const char *const *words)
{
    struct line line = {.argv = {(char *)"paint-it"}, .argc = 1};
    for (; *words; words++)
        line.argv[line.argc++] = (char *)*words;
    return line;
}

static int parse_with(const struct program *with, struct line *line)
{
    memset(&settings, 0, sizeof settings);
    return options_parse(with, line->argc, line->argv, &line->operands, &line->error);
}

#define LINE(...) line_of((const char *const[]){__VA_ARGS__, NULL})

static void assert_parses(struct line *line)
{
    if (parse_with(&program, line) < 0)
        fail_msg("refused: %s", line->error.text);
}

static void assert_refused(const struct program *with, struct line line, const char *reason)
{
    if (parse_with(with, &line) == 0)
        fail_msg("accepted %s %s", line.argv[1], line.argc > 2 ? line.argv[2] : "");
    assert_string_equal(line.error.text, reason);
}

static void test_every_spelling_of_a_value(void **state)
{
    (void)state;
    struct line lines[] = {LINE("--steps", "12"), LINE("--steps=12"),
                           LINE("-n", "12"),      LINE("-n12"),
                           LINE("-fn12"),         LINE("-n", "3", "--steps", "12")};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_parses(&lines[i]);
        assert_int_equal(settings.steps, 12);
        assert_int_equal(lines[i].operands, 0);
    }
    struct line flags = LINE("-lf");
    assert_parses(&flags);
    assert_true(settings.fast && settings.loud);
}

static void test_operands_move_to_the_front(void **state)
{
    (void)state;
    struct line line = LINE("a", "-n", "5", "-", "--path=x", "b", "--", "-f", "--");
    assert_parses(&line);
    const char *const expected[] = {"a", "-", "b", "-f", "--"};
    assert_int_equal(line.operands, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(line.argv[1 + i], expected[i]);
    assert_int_equal(settings.steps, 5);
    assert_string_equal(settings.path, "x");
    assert_false(settings.fast);
}

static void test_values_of_every_type(void **state)
{
    (void)state;
    struct line line = LINE("--memory", "4G", "--rate", "2.5e-3", "--clip", "none", "--color",
                            "blue", "--shape", "64,4,1,9223372036854", "--path", "-", "-f");
    assert_parses(&line);
    assert_true(settings.memory == INT64_C(4) << 30);
    assert_true(settings.rate == 2.5e-3);
    assert_true(isinf(settings.clip) && settings.clip > 0);
    assert_int_equal(settings.color, 2);
    assert_int_equal(settings.shape.rank, 4);
    assert_int_equal(settings.shape.extent[0], 64);
    assert_true(settings.shape.extent[3] == INT64_C(9223372036854));
    assert_string_equal(settings.path, "-");
    assert_true(settings.fast);

    struct line small = LINE("--memory", "100k", "--clip", "-1.5", "--shape", "7");
    assert_parses(&small);
    assert_int_equal(settings.memory, 102400);
    assert_true(settings.clip == -1.5);
    assert_int_equal(settings.shape.rank, 1);

    struct line part = LINE("--memory", "1234.3M");
    assert_parses(&part);
    assert_int_equal(settings.memory, 1294257356); /* 1234.3·2^20 = 1294257356.8 */

    struct line widest = LINE("--steps", "+1000", "--shape", "1,1,1,1,1,1,1,1", "--memory", "0");
    assert_parses(&widest);
    assert_int_equal(settings.steps, 1000);
    assert_int_equal(settings.shape.rank, 8);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    assert_refused(&program, LINE("--bogus"), "unknown option --bogus");
    assert_refused(&program, LINE("--step", "3"), "unknown option --step");
    assert_refused(&program, LINE("-fx"), "unknown option -x");
    assert_refused(&program, LINE("--=3"), "unknown option --");
    assert_refused(&program, LINE("--fast=yes"), "--fast takes no value");
    assert_refused(&program, LINE("a", "-n"), "--steps: its value is missing");
    assert_refused(&program, LINE("--path="), "--path: its value is empty");
    assert_refused(&program, LINE("-n0"), "--steps 0: must be from 1 to 1000");
    assert_refused(&program, LINE("-n", "1001"), "--steps 1001: must be from 1 to 1000");
    assert_refused(&program, LINE("-n", ""), "--steps : not a whole number");
    assert_refused(&program, LINE("-n", "1.5"), "--steps 1.5: not a whole number");
    assert_refused(&program, LINE("-n", " 5"), "--steps  5: not a whole number");
    assert_refused(&program, LINE("-n", "+-5"), "--steps +-5: not a whole number");
    assert_refused(&program, LINE("-n", "9223372036854775808"),
                   "--steps 9223372036854775808: not a whole number");
    assert_refused(&program, LINE("--rate", "-1"), "--rate -1: must be at least 0");
    assert_refused(&program, LINE("--rate", "nan"), "--rate nan: not a number");
    assert_refused(&program, LINE("--rate", "1e999"), "--rate 1e999: not a number");
    assert_refused(&program, LINE("--rate", "none"), "--rate none: not a number");
    assert_refused(&program, LINE("--rate", "1x"), "--rate 1x: not a number");
    assert_refused(&program, LINE("--clip", "inf"), "--clip inf: not a number, nor none");
    assert_refused(&program, LINE("--color", "Red"), "--color Red: must be red, green or blue");
}

static void test_refused_sizes(void **state)
{
    (void)state;
    assert_refused(&program, LINE("--memory", "-1"),
                   "--memory -1: not a number of bytes, such as 4G");
    assert_refused(&program, LINE("--memory", "G"),
                   "--memory G: not a number of bytes, such as 4G");
    assert_refused(&program, LINE("--memory", "1e3"),
                   "--memory 1e3: not a number of bytes, such as 4G");
    assert_refused(&program, LINE("--memory", "1.2.3G"),
                   "--memory 1.2.3G: not a number of bytes, such as 4G");
    assert_refused(&program, LINE("--memory", "4Q"), "--memory 4Q: the unit is k, M, G or T");
    assert_refused(&program, LINE("--memory", "4GB"), "--memory 4GB: the unit is k, M, G or T");
    assert_refused(&program, LINE("--memory", "9007199254740992k"),
                   "--memory 9007199254740992k: more than 2^63 bytes");
    const char *const bad[] = {"", "4,", ",4", "4,,4", "0", "4,0", "4,-1", "4x4", "4, 4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct line line = LINE("--shape", bad[i]);
        assert_int_equal(parse_with(&program, &line), -1);
        assert_non_null(strstr(line.error.text, "not whole numbers of at least 1"));
        assert_int_equal(settings.shape.rank, 0);
    }
    assert_refused(&program, LINE("--shape", "1,1,1,1,1,1,1,1,1"),
                   "--shape 1,1,1,1,1,1,1,1,1: more than 8 axes");
    assert_refused(&program, LINE("--shape", "2147483648,2147483648"),
                   "--shape 2147483648,2147483648: absurd shape");
}

static void test_required_options_and_operands(void **state)
{
    (void)state;
    struct program strict = program;
    strict.options = strict_table;
    strict.operands = "A B";
    assert_refused(&strict, LINE("a", "b"), "--path is required");
    assert_refused(&strict, LINE("-p", "w", "a"), "an operand is missing: A B");
    assert_refused(&strict, LINE("-p", "w", "a", "b", "c"), "unexpected operand c");
    struct line fits = LINE("a", "-p", "w", "b");
    assert_int_equal(parse_with(&strict, &fits), 0);

    strict.operands = NULL;
    assert_refused(&strict, LINE("-p", "w", "a"), "unexpected operand a");
    strict.operands = "METRIC [FILE...]";
    assert_refused(&strict, LINE("-p", "w"), "an operand is missing: METRIC [FILE...]");
    struct line many = LINE("-p", "w", "tv", "a", "b", "c");
    assert_int_equal(parse_with(&strict, &many), 0);
    strict.operands = "FILE [OTHER]";
    assert_refused(&strict, LINE("-p", "w", "a", "b", "c"), "unexpected operand c");
}

static void test_history_keeps_what_changes_the_result(void **state)
{
    (void)state;
    struct line line = LINE("/data/eye.npy", "--memory", "4G", "-lf", "--steps=5", "-p",
                            "/w/it's a.npy", "--rate", "1\n2", "--", "-x", "");
    char *text = options_command_line(&program, line.argc, line.argv);
    assert_string_equal(text, "paint-it eye.npy -f -n 5 -p 'it'\\''s a.npy' --rate '1?2' -x ''");
    free(text);

    struct line bare = LINE("-l", "-");
    text = options_command_line(&program, bare.argc, bare.argv);
    assert_string_equal(text, "paint-it -");
    free(text);
}

/* What a page holds; the caller frees it. */
static char *page(void (*print)(const struct program *, FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(&program, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is missing in\n%s", part, text);
}

static void test_help_says_type_default_and_range(void **state)
{
    (void)state;
    memset(&settings, 0, sizeof settings);
    settings.steps = 200;
    settings.rate = 0.1;
    settings.clip = INFINITY;
    settings.memory = INT64_C(3) << 20;
    char *text = page(options_help);
    assert_has(text, "paint-it - paint volumes\nusage: paint-it [options] [FILE...]\n"
                     "stdin: volume (D,H,W)\nstdout: volume (D,H,W)\n");
    assert_has(text, "  -f, --fast                be fast\n");
    assert_has(text, "  -n, --steps N             number of steps (whole number from 1 to 1000,\n"
                     "                            default 200)\n");
    assert_has(text, "number of at least 0, default 0.1)");
    assert_has(text, "default 3M)");
    assert_has(text, "default none)");
    assert_has(text, "      --color red|green|blue\n"
                     "                            a color (default red)\n");
    assert_has(text, "default the input's)");
    assert_has(text, "  -h, --help ");
    assert_has(text, "\nFirst line.\n\n.Second 'line' \\ end.\n    verbatim  text\nlast\n");
    assert_has(text, "\nexample:\n  paint-it --color red a.npy\n");
    free(text);
}

static void test_pages_escape_their_text(void **state)
{
    (void)state;
    char *man = page(options_man);
    assert_has(man, ".TH PAINT\\-IT 1 ");
    assert_has(man, "\n\\&.Second \\(aqline\\(aq \\e end.\n.EX\n    verbatim  text\n.EE\nlast\n");
    free(man);
    char *markdown = page(options_markdown);
    assert_has(markdown, "\n| `--color red\\|green\\|blue` | a color |  | red |\n");
    assert_has(markdown, "| rate \\| speed |");
    free(markdown);
    char *completion = page(options_completion);
    assert_has(completion, "complete -o default -F _octpipe_paint_it paint-it\n");
    assert_has(completion, "    --color)\n"
                           "        mapfile -t COMPREPLY < <(compgen -W 'red green blue' ");
    free(completion);
}

/* What options_answer prints for a command line; "" when it leaves it to options_parse. */
static char *answer(struct line line)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    bool answered = options_answer(&program, line.argc, line.argv, out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(answered, size > 0);
    return text;
}

static void test_answers(void **state)
{
    (void)state;
    const char *const question[] = {"-h", "--help", "-fh", "--version", "--purpose"};
    const char *const start[] = {"paint-it - paint", "paint-it - paint", "paint-it - paint",
                                 "paint-it (octpipe) ", "paint-it             paint volumes\n"};
    for (size_t i = 0; i < sizeof question / sizeof *question; i++) {
        char *text = answer(LINE("a", question[i]));
        assert_memory_equal(text, start[i], strlen(start[i]));
        free(text);
    }
    struct line others[] = {LINE("--", "--help"), LINE("--path", "--help"), LINE("help"),
                            LINE("--bogus", "--help"), LINE("-f")};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char *text = answer(others[i]);
        assert_string_equal(text, "");
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_spelling_of_a_value),
        cmocka_unit_test(test_operands_move_to_the_front),
        cmocka_unit_test(test_values_of_every_type),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_refused_sizes),
        cmocka_unit_test(test_required_options_and_operands),
        cmocka_unit_test(test_history_keeps_what_changes_the_result),
        cmocka_unit_test(test_help_says_type_default_and_range),
        cmocka_unit_test(test_pages_escape_their_text),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
