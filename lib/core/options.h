/* One option table per program: parser, --help, man page, completion, and the history entry.
 * An option's default is the value its target holds before parsing. */
#ifndef OCTPIPE_CORE_OPTIONS_H
#define OCTPIPE_CORE_OPTIONS_H

#include "lib/core/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum option_type {
    OPTION_FLAG,   /* bool *; --name sets it */
    OPTION_INT,    /* int64_t * */
    OPTION_REAL,   /* double * */
    OPTION_BYTES,  /* int64_t *; 4G, 1234.5M, 100k or a plain count */
    OPTION_STRING, /* const char ** */
    OPTION_CHOICE, /* int *: index into choices */
    OPTION_SHAPE,  /* struct option_shape *; 64,4,64,64 */
    OPTION_CLIP,   /* double *: a number, or none = INFINITY */
};

struct option_shape {
    int rank;
    int64_t extent[8];
};

struct option {
    const char *name; /* long name without dashes; NULL ends a table */
    char letter;      /* short name, or 0 */
    enum option_type type;
    void *target;
    const char *argument;       /* its name in the help: FILE, N, X */
    const char *const *choices; /* OPTION_CHOICE: NULL-terminated; OPTION_STRING: some values, for
                                   the completion */
    double low, high;           /* numbers, each extent: inclusive range; low == high: any
                                   number, extents of at least 1 */
    const char *meaning;        /* one sentence without a full stop */
    const char *unset;          /* how the default reads in the help when the target's value
                                   does not say it: "from the weights" */
    bool required;
    bool no_result; /* does not change the result: left out of the history */
};

struct program {
    const char *name;
    const char *purpose;  /* one line, lower case, no full stop */
    const char *input;    /* shapes and types on stdin, as prose; NULL: reads none */
    const char *output;   /* … on stdout; NULL: text or a file */
    const char *operands; /* "[FILE...]", "FILE", "FILE FILE"; says how many; NULL: none */
    const char *details;  /* prose with blank lines between paragraphs; a line that starts with
                             a blank stands as it is; or NULL */
    const char *example;  /* one or more command lines, one a line, or NULL */
    const struct option *options;
};

/* Parse argv. Options and operands may mix; "--" ends options; "-" is an operand; --name=value,
 * --name value, -n value and -nvalue are taken, and flags may share a dash (-vq). Afterwards argv[1
 * … *operands] are the operands. Returns 0, or −1 with the reason (unknown option, bad value with
 * the range, missing). */
int options_parse(const struct program *program, int argc, char **argv, int *operands,
                  struct error *error);

/* Answer --help, -h, --version and the hidden --purpose, --man, --completion and --markdown on
 * `out`. False when none of them is asked for before the first error. Call before options_parse. */
bool options_answer(const struct program *program, int argc, char **argv, FILE *out);

void options_help(const struct program *program, FILE *out);       /* --help */
void options_man(const struct program *program, FILE *out);        /* --man: a man page */
void options_completion(const struct program *program, FILE *out); /* --completion: bash */
void options_markdown(const struct program *program, FILE *out);   /* --markdown: docs/filters.md */

/* The command line as the history keeps it: "diffuse3d -w ldm3d.safetensors --steps 50", options
 * that change the result and differ from nothing but being given, files by base name.
 * The caller frees the result; NULL when memory is out. Call after options_parse. */
char *options_command_line(const struct program *program, int argc, char **argv);

#endif
