/* HTML: text that may hold anything, and pictures inside the page. */
#ifndef OCTPIPE_EXPERIMENT_MARKUP_H
#define OCTPIPE_EXPERIMENT_MARKUP_H

#include "lib/core/error.h"

#include <stddef.h>
#include <stdio.h>

/* Text as content or in a quoted attribute: &, <, >, " are escaped, control characters but tab and
 * newline become spaces. */
void markup_text(FILE *out, const char *text);
void markup_text_part(FILE *out, const char *text, size_t length);

/* <img …> with the bytes of a PNG file in it. What does not begin as a PNG is refused. */
int markup_picture(FILE *out, const char *path, struct error *error);

#endif
