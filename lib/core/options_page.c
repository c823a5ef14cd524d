#include "lib/core/options_text.h"
#include "lib/core/version.h"

#include <ctype.h>
#include <string.h>

/* Text as troff takes it literally; a line must not start with a request. */
static void print_roff(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool line_start = i == 0 || text[i - 1] == '\n';
        switch (text[i]) {
        case '\\':
            fputs("\\e", out);
            break;
        case '-':
            fputs("\\-", out);
            break;
        case '\'':
            fputs("\\(aq", out);
            break;
        case '`':
            fputs("\\(ga", out);
            break;
        case '^':
            fputs("\\(ha", out);
            break;
        case '~':
            fputs("\\(ti", out);
            break;
        case '.':
            fputs(line_start ? "\\&." : ".", out);
            break;
        default:
            fputc(text[i], out);
        }
    }
}

static void man_text(FILE *out, const char *before, const char *text, const char *after)
{
    fputs(before, out);
    print_roff(out, text, strlen(text));
    fputs(after, out);
}

static void man_option(FILE *out, const struct option *option)
{
    char argument[256], remark[512];
    options_text_argument(option, argument, sizeof argument);
    options_text_remark(option, remark, sizeof remark);
    fputs(".TP\n", out);
    if (option->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    man_text(out, "\\fB\\-\\-", option->name, "\\fR");
    if (*argument)
        man_text(out, " \\fI", argument, "\\fR");
    man_text(out, "\n", option->meaning, "");
    if (*remark)
        man_text(out, " (", remark, ")");
    fputs(".\n", out);
}

static void man_details(FILE *out, const char *text)
{
    bool verbatim = false;
    while (*text) {
        size_t length = strcspn(text, "\n");
        if ((*text == ' ') != verbatim)
            fputs(verbatim ? ".EE\n" : ".EX\n", out);
        verbatim = *text == ' ';
        if (length == 0) {
            fputs(".PP\n", out);
        } else {
            print_roff(out, text, length);
            fputc('\n', out);
        }
        text += length + (text[length] == '\n');
    }
    if (verbatim)
        fputs(".EE\n", out);
}

void options_man(const struct program *program, FILE *out)
{
    char title[64];
    size_t length = 0;
    for (; program->name[length] && length + 1 < sizeof title; length++)
        title[length] = (char)toupper((unsigned char)program->name[length]);
    title[length] = '\0';
    man_text(out, ".TH ", title, " 1 \"\" \"octpipe " OCTPIPE_VERSION "\" \"octpipe\"\n");
    man_text(out, ".SH NAME\n", program->name, "");
    man_text(out, " \\- ", program->purpose, "\n");
    man_text(out, ".SH SYNOPSIS\n\\fB", program->name, "\\fR [\\fIoptions\\fR]");
    if (program->operands)
        man_text(out, " ", program->operands, "");
    fputc('\n', out);
    if (program->input || program->output || program->details)
        fputs(".SH DESCRIPTION\n", out);
    if (program->input)
        man_text(out, "Standard input: ", program->input, ".\n");
    if (program->output)
        man_text(out,
                 program->input ? ".PP\nStandard output: " : "Standard output: ", program->output,
                 ".\n");
    if (program->details) {
        if (program->input || program->output)
            fputs(".PP\n", out);
        man_details(out, program->details);
    }
    fputs(".SH OPTIONS\n", out);
    for (const struct option *option = program->options; option->name; option++)
        man_option(out, option);
    for (const struct option *option = options_standard; option->name; option++)
        man_option(out, option);
    fputs(".SH EXIT STATUS\n0 on success, 1 where a comparison says no, 2 on trouble.\n", out);
    if (program->example)
        man_text(out, ".SH EXAMPLES\n.EX\n", program->example, "\n.EE\n");
}

/* "--name" and "-n", with `between` after each. */
static void complete_names(FILE *out, const struct option *option, const char *between)
{
    fprintf(out, "--%s%s", option->name, between);
    if (option->letter)
        fprintf(out, "-%c%s", option->letter, between);
}

void options_completion(const struct program *program, FILE *out)
{
    char identifier[64];
    size_t length = 0;
    for (; program->name[length] && length + 1 < sizeof identifier; length++)
        identifier[length] = program->name[length] == '-' ? '_' : program->name[length];
    identifier[length] = '\0';
    fprintf(out,
            "_octpipe_%s() {\n"
            "    local word=$2 before=$3\n"
            "    COMPREPLY=()\n"
            "    case $before in\n",
            identifier);
    for (const struct option *option = program->options; option->name; option++) {
        if (!option->choices)
            continue;
        fprintf(out, "    --%s", option->name);
        if (option->letter)
            fprintf(out, " | -%c", option->letter);
        fputs(")\n        mapfile -t COMPREPLY < <(compgen -W '", out);
        for (int i = 0; option->choices[i]; i++)
            fprintf(out, "%s%s", i ? " " : "", option->choices[i]);
        fputs("' -- \"$word\")\n        return ;;\n", out);
    }
    fputs("    esac\n"
          "    if [[ $word == -* ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W '",
          out);
    for (const struct option *option = program->options; option->name; option++)
        complete_names(out, option, " ");
    for (const struct option *option = options_standard; option->name; option++)
        complete_names(out, option, " ");
    fprintf(out,
            "' -- \"$word\")\n"
            "    fi\n"
            "}\n"
            "complete -o default -F _octpipe_%s %s\n",
            identifier, program->name);
}

/* Text for a cell of a table, where a bar would end it. */
static void markdown_cell(FILE *out, const char *text)
{
    fputs("| ", out);
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc(' ', out);
}

static void markdown_option(FILE *out, const struct option *option)
{
    char letter[8] = "", argument[256], names[512], type[512], fallback[256];
    options_text_argument(option, argument, sizeof argument);
    options_text_type(option, type, sizeof type);
    options_text_default(option, fallback, sizeof fallback);
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(names, sizeof names, "`%s--%s%s%s`", letter, option->name, *argument ? " " : "",
             argument);
    markdown_cell(out, names);
    markdown_cell(out, option->meaning);
    markdown_cell(out, type);
    markdown_cell(out, fallback);
    fputs("|\n", out);
}

void options_markdown(const struct program *program, FILE *out)
{
    fprintf(out, "\n## %s\n\n%s\n\n    %s [options]%s%s\n", program->name, program->purpose,
            program->name, program->operands ? " " : "",
            program->operands ? program->operands : "");
    if (program->input)
        fprintf(out, "\n- stdin: %s\n", program->input);
    if (program->output)
        fprintf(out, "%s- stdout: %s\n", program->input ? "" : "\n", program->output);
    if (program->options->name)
        fputs("\n| option | meaning | type | default |\n|---|---|---|---|\n", out);
    for (const struct option *option = program->options; option->name; option++)
        markdown_option(out, option);
    if (program->details)
        fprintf(out, "\n%s\n", program->details);
    if (program->example)
        fprintf(out, "\n```\n%s\n```\n", program->example);
}
