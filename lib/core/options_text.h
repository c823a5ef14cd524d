/* How the pages made from an option table say it: shared by --help, man pages and Markdown. */
#ifndef OCTPIPE_CORE_OPTIONS_TEXT_H
#define OCTPIPE_CORE_OPTIONS_TEXT_H

#include "lib/core/options.h"

/* --help and --version, which every program takes; ends like a table. */
extern const struct option options_standard[];

/* The shortest decimal that reads back as the same number; whole numbers in full. */
void options_text_number(double value, char *text, size_t size);

/* "from 1 to 1000", "at least 0", "at most 1"; false when any number is allowed. */
bool options_text_range(const struct option *option, char *text, size_t size);

/* The argument's name: "FILE", "N", "auto|cpu|cuda"; "" for a flag. */
void options_text_argument(const struct option *option, char *text, size_t size);

/* The type with its range: "whole number from 1 to 1000"; "" where the argument says it all. */
void options_text_type(const struct option *option, char *text, size_t size);

/* "required", or the default's value; "" where there is none. */
void options_text_default(const struct option *option, char *text, size_t size);

/* Type and default as one remark: "whole number from 1 to 1000, default 200"; "" when empty. */
void options_text_remark(const struct option *option, char *text, size_t size);

#endif
