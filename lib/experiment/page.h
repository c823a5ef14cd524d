/* An experiment as one HTML page that needs no network: tables, pictures, curves, commands and
 * checksums. */
#ifndef OCTPIPE_EXPERIMENT_PAGE_H
#define OCTPIPE_EXPERIMENT_PAGE_H

#include "lib/experiment/files.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct experiment_page {
    const char *title;
    const char *command; /* that makes the page */
    bool logarithmic;    /* axes of positive values */
    int64_t limit;       /* bytes of a slice of a stream; 0: as stream_reader_open */
};

/* Write the page of the files. Errors name the file, and what was written is then no page. */
int experiment_page(FILE *out, const struct experiment_page *page,
                    const struct experiment_files *files, struct error *error);

#endif
