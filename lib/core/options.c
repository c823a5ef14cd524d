#include "lib/core/options.h"

#include "lib/core/options_text.h"
#include "lib/core/options_value.h"
#include "lib/core/version.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_AT_MOST = 64 };

/* A walk over a command line: one option with its value, or one operand, at a time. */
struct walk {
    const struct program *program;
    bool answers; /* --help and the like are options too */
    int argc;
    char **argv;
    int at;              /* argv entries taken so far */
    const char *letters; /* what follows in a cluster of short options */
    bool operands_only;  /* after -- */

    const struct option *option; /* NULL: an operand */
    const char *value;           /* of the option, or the operand */
};

const struct option options_standard[] = {
    {.name = "help", .letter = 'h', .meaning = "show this help"},
    {.name = "version", .meaning = "show the version"},
    {0},
};

/* For the build and for `octpipe list`, not for people. */
static const struct option generators[] = {
    {.name = "purpose"}, {.name = "man"}, {.name = "completion"}, {.name = "markdown"}, {0}};

static const struct option *find(const struct option *table, const char *name, size_t length,
                                 char letter)
{
    for (; table->name; table++)
        if (letter ? table->letter == letter
                   : strlen(table->name) == length && memcmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

/* Options of the program, and with `answers` those that every program answers by itself. */
static const struct option *walk_find(const struct walk *walk, const char *name, size_t length,
                                      char letter)
{
    const struct option *option = find(walk->program->options, name, length, letter);
    if (!option && walk->answers)
        option = find(options_standard, name, length, letter);
    if (!option && walk->answers)
        option = find(generators, name, length, letter);
    return option;
}

static int take_value(struct walk *walk, const char *attached, struct error *error)
{
    if (attached)
        walk->value = attached;
    else if (walk->at < walk->argc)
        walk->value = walk->argv[walk->at++];
    else
        return error_set(error, "--%s: its value is missing", walk->option->name);
    return 1;
}

static int walk_letter(struct walk *walk, struct error *error)
{
    char letter = *walk->letters++;
    walk->option = walk_find(walk, NULL, 0, letter);
    if (!walk->option)
        return error_set(error, "unknown option -%c", letter);
    const char *rest = *walk->letters ? walk->letters : NULL;
    if (walk->option->type == OPTION_FLAG) {
        walk->letters = rest;
        return 1;
    }
    walk->letters = NULL;
    return take_value(walk, rest, error);
}

static int walk_name(struct walk *walk, const char *name, struct error *error)
{
    size_t length = strcspn(name, "=");
    const char *attached = name[length] ? name + length + 1 : NULL;
    walk->option = walk_find(walk, name, length, 0);
    if (!walk->option)
        return error_set(error, "unknown option --%.*s", (int)length, name);
    if (walk->option->type != OPTION_FLAG)
        return take_value(walk, attached, error);
    if (attached)
        return error_set(error, "--%s takes no value", walk->option->name);
    return 1;
}

/* 1 and the next option or operand, 0 at the end, −1 on an error. */
static int walk_next(struct walk *walk, struct error *error)
{
    walk->option = NULL;
    walk->value = NULL;
    if (walk->letters)
        return walk_letter(walk, error);
    if (walk->at >= walk->argc)
        return 0;
    const char *word = walk->argv[walk->at++];
    if (walk->operands_only || word[0] != '-' || word[1] == '\0') {
        walk->value = word;
        return 1;
    }
    if (strcmp(word, "--") == 0) {
        walk->operands_only = true;
        return walk_next(walk, error);
    }
    if (word[1] == '-')
        return walk_name(walk, word + 2, error);
    walk->letters = word + 1;
    return walk_letter(walk, error);
}

static struct walk walk_start(const struct program *program, int argc, char **argv)
{
    return (struct walk){.program = program, .argc = argc, .argv = argv, .at = 1};
}

/* How many operands "[FILE...]", "FILE", "A B", "METRIC [FILE...]" or NULL allow. */
static int check_operands(const struct program *program, int count, const char *last,
                          struct error *error)
{
    int least = 0, most = 0;
    const char *word = program->operands ? program->operands : "";
    while (*(word += strspn(word, " "))) {
        size_t length = strcspn(word, " ");
        least += word[0] != '[';
        most = memmem(word, length, "...", 3) ? INT32_MAX : most + (most < INT32_MAX);
        word += length;
    }
    if (count > most)
        return error_set(error, "unexpected operand %s", last);
    if (count < least)
        return error_set(error, "an operand is missing: %s", program->operands);
    return 0;
}

int options_parse(const struct program *program, int argc, char **argv, int *operands,
                  struct error *error)
{
    struct walk walk = walk_start(program, argc, argv);
    bool given[OPTIONS_AT_MOST] = {false};
    const char *last = NULL;
    int found;
    *operands = 0;
    for (int i = 0; program->options[i].name; i++)
        if (i == OPTIONS_AT_MOST)
            return error_set(error, "a table of more than %d options", OPTIONS_AT_MOST);
    while ((found = walk_next(&walk, error)) > 0) {
        if (walk.option) {
            if (options_set(walk.option, walk.value, error) < 0)
                return -1;
            given[walk.option - program->options] = true;
        } else {
            /* Move the operand up; the walk has passed all places up to it. */
            last = walk.value;
            memmove(argv + *operands + 2, argv + *operands + 1,
                    (size_t)(walk.at - *operands - 2) * sizeof *argv);
            argv[++*operands] = (char *)last;
        }
    }
    if (found < 0)
        return -1;
    for (const struct option *option = program->options; option->name; option++)
        if (option->required && !given[option - program->options])
            return error_set(error, "--%s is required", option->name);
    return check_operands(program, *operands, last, error);
}

bool options_answer(const struct program *program, int argc, char **argv, FILE *out)
{
    struct walk walk = walk_start(program, argc, argv);
    walk.answers = true;
    while (walk_next(&walk, NULL) > 0) {
        if (!walk.option || walk.option->target) /* an operand, or the program's own */
            continue;
        const char *name = walk.option->name;
        if (strcmp(name, "help") == 0)
            options_help(program, out);
        else if (strcmp(name, "version") == 0)
            fprintf(out, "%s (octpipe) %s\n", program->name, OCTPIPE_VERSION);
        else if (strcmp(name, "purpose") == 0)
            fprintf(out, "%-20s %s\n", program->name, program->purpose);
        else if (strcmp(name, "man") == 0)
            options_man(program, out);
        else if (strcmp(name, "completion") == 0)
            options_completion(program, out);
        else
            options_markdown(program, out);
        return true;
    }
    return false;
}

/* Append a word as a shell reads it; control characters, which would break the history's lines,
 * become question marks. */
static void print_word(FILE *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./,:=+%@-";
    bool quote = !*word || word[strspn(word, plain)];
    if (quote)
        fputc('\'', out);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(iscntrl((unsigned char)*word) ? '?' : *word, out);
    }
    if (quote)
        fputc('\'', out);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void print_history_option(FILE *out, const struct option *option, const char *value)
{
    if (option->letter)
        fprintf(out, " -%c", option->letter);
    else
        fprintf(out, " --%s", option->name);
    if (option->type == OPTION_FLAG)
        return;
    fputc(' ', out);
    print_word(out, option->type == OPTION_STRING ? base_name(value) : value);
}

char *options_command_line(const struct program *program, int argc, char **argv)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs(program->name, out);
    struct walk walk = walk_start(program, argc, argv);
    while (walk_next(&walk, NULL) > 0) {
        if (!walk.option) {
            fputc(' ', out);
            print_word(out, base_name(walk.value));
        } else if (!walk.option->no_result) {
            print_history_option(out, walk.option, walk.value);
        }
    }
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
