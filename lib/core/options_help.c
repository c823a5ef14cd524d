#include "lib/core/options_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { PAGE_COLUMNS = 80, MEANING_COLUMN = 28 };

void options_text_argument(const struct option *option, char *text, size_t size)
{
    static const char *const by_type[] = {
        [OPTION_FLAG] = "",         [OPTION_INT] = "N",       [OPTION_REAL] = "X",
        [OPTION_BYTES] = "BYTES",   [OPTION_STRING] = "TEXT", [OPTION_CHOICE] = "",
        [OPTION_SHAPE] = "EXTENTS", [OPTION_CLIP] = "X",
    };
    snprintf(text, size, "%s", option->argument ? option->argument : by_type[option->type]);
    if (option->argument || option->type != OPTION_CHOICE)
        return;
    for (int i = 0; option->choices[i]; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", i ? "|" : "", option->choices[i]);
    }
}

void options_text_number(double value, char *text, size_t size)
{
    if (value == rint(value) && fabs(value) < 1e18) {
        snprintf(text, size, "%.0f", value);
        return;
    }
    double back = NAN;
    for (int digits = 6; digits <= 17 && back != value; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        sscanf(text, "%lf", &back);
    }
}

bool options_text_range(const struct option *option, char *text, size_t size)
{
    char low[32], high[32];
    if (option->low == option->high)
        return false;
    options_text_number(option->low, low, sizeof low);
    options_text_number(option->high, high, sizeof high);
    if (isinf(option->high))
        snprintf(text, size, "at least %s", low);
    else if (isinf(option->low))
        snprintf(text, size, "at most %s", high);
    else
        snprintf(text, size, "from %s to %s", low, high);
    return true;
}

void options_text_type(const struct option *option, char *text, size_t size)
{
    switch (option->type) {
    case OPTION_FLAG:
    case OPTION_STRING:
        *text = '\0';
        return;
    case OPTION_CHOICE:
        *text = '\0';
        if (option->argument) { /* else the argument lists the choices */
            struct option bare = *option;
            bare.argument = NULL;
            options_text_argument(&bare, text, size);
        }
        return;
    case OPTION_INT:
        snprintf(text, size, "whole number");
        break;
    case OPTION_REAL:
        snprintf(text, size, "number");
        break;
    case OPTION_CLIP:
        snprintf(text, size, "none or a number");
        break;
    case OPTION_BYTES:
        snprintf(text, size, "number with k, M, G or T");
        break;
    case OPTION_SHAPE:
        snprintf(text, size, "whole numbers");
        break;
    }
    char range[96];
    if (options_text_range(option, range, sizeof range)) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s", *range == 'a' ? " of " : " ", range);
    }
}

static void text_bytes(int64_t value, char *text, size_t size)
{
    const char *unit = " kMGT";
    while (unit[1] && value && value % 1024 == 0) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, "%" PRId64 "%.*s", value, *unit != ' ', unit);
}

static void text_shape(const struct option_shape *shape, char *text, size_t size)
{
    *text = '\0';
    for (int i = 0; i < shape->rank; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%" PRId64, i ? "," : "", shape->extent[i]);
    }
}

void options_text_default(const struct option *option, char *text, size_t size)
{
    *text = '\0';
    if (option->required || option->unset) {
        snprintf(text, size, "%s", option->required ? "required" : option->unset);
        return;
    }
    switch (option->type) {
    case OPTION_FLAG:
        return;
    case OPTION_INT:
        snprintf(text, size, "%" PRId64, *(const int64_t *)option->target);
        return;
    case OPTION_REAL:
    case OPTION_CLIP:
        if (isinf(*(const double *)option->target))
            snprintf(text, size, "none");
        else
            options_text_number(*(const double *)option->target, text, size);
        return;
    case OPTION_BYTES:
        text_bytes(*(const int64_t *)option->target, text, size);
        return;
    case OPTION_CHOICE:
        snprintf(text, size, "%s", option->choices[*(const int *)option->target]);
        return;
    case OPTION_SHAPE:
        text_shape(option->target, text, size);
        return;
    case OPTION_STRING:
        break;
    }
    const char *value = *(const char *const *)option->target;
    snprintf(text, size, "%s", value ? value : "");
}

void options_text_remark(const struct option *option, char *text, size_t size)
{
    char fallback[256];
    options_text_type(option, text, size);
    options_text_default(option, fallback, sizeof fallback);
    size_t used = strlen(text);
    if (*fallback)
        snprintf(text + used, size - used, "%s%s%s", used ? ", " : "",
                 option->required ? "" : "default ", fallback);
}

static int columns(const char *text, int bytes)
{
    int count = 0;
    for (int i = 0; i < bytes; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80; /* not a UTF-8 continuation */
    return count;
}

/* Words of text from `column` on, wrapped to the page with every further line indented. */
static void print_wrapped(FILE *out, int column, int indent, const char *text)
{
    bool first = true;
    while (*(text += strspn(text, " "))) {
        int bytes = (int)strcspn(text, " ");
        int width = columns(text, bytes);
        if (!first && column + 1 + width > PAGE_COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", bytes, text);
        column += width;
        text += bytes;
        first = false;
    }
    fputc('\n', out);
}

static void help_option(FILE *out, const struct option *option)
{
    char argument[256], remark[512], meaning[1024];
    options_text_argument(option, argument, sizeof argument);
    options_text_remark(option, remark, sizeof remark);
    int column = option->letter ? fprintf(out, "  -%c, ", option->letter) : fprintf(out, "      ");
    column += fprintf(out, "--%s%s%s", option->name, *argument ? " " : "", argument);
    if (column + 2 > MEANING_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", MEANING_COLUMN - column, "");
    snprintf(meaning, sizeof meaning, "%s%s%s%s", option->meaning, *remark ? " (" : "", remark,
             *remark ? ")" : "");
    print_wrapped(out, MEANING_COLUMN, MEANING_COLUMN, meaning);
}

/* Lines are wrapped; blank ones and those that start with a blank stand as they are. */
static void help_details(FILE *out, const char *text)
{
    while (text && *text) {
        size_t length = strcspn(text, "\n");
        char line[2048];
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        if (*line == ' ')
            fprintf(out, "%s\n", line);
        else
            print_wrapped(out, 0, 0, line);
        text += length + (text[length] == '\n');
    }
}

static void help_example(FILE *out, const char *text)
{
    fputs("\nexample:\n  ", out);
    for (; *text; text++) {
        fputc(*text, out);
        if (*text == '\n')
            fputs("  ", out);
    }
    fputc('\n', out);
}

void options_help(const struct program *program, FILE *out)
{
    fprintf(out, "%s - %s\n", program->name, program->purpose);
    fprintf(out, "usage: %s [options]%s%s\n", program->name, program->operands ? " " : "",
            program->operands ? program->operands : "");
    if (program->input)
        print_wrapped(out, fprintf(out, "stdin: "), 8, program->input);
    if (program->output)
        print_wrapped(out, fprintf(out, "stdout: "), 8, program->output);
    fputs("\noptions:\n", out);
    for (const struct option *option = program->options; option->name; option++)
        help_option(out, option);
    for (const struct option *option = options_standard; option->name; option++)
        help_option(out, option);
    if (program->details)
        fputc('\n', out);
    help_details(out, program->details);
    if (program->example)
        help_example(out, program->example);
}
