/* The files of an experiment: what to show of a pipeline's folder. */
#ifndef OCTPIPE_EXPERIMENT_FILES_H
#define OCTPIPE_EXPERIMENT_FILES_H

#include "lib/core/error.h"

enum experiment_kind {
    EXPERIMENT_TABLE,   /* *.tsv whose first line begins with "row": a table of measures */
    EXPERIMENT_PICTURE, /* *.png */
    EXPERIMENT_CURVES,  /* *.tsv whose first line begins with "step": a training log */
    EXPERIMENT_FACTS,   /* any other *.tsv: lines of octmetrics --tsv */
    EXPERIMENT_STREAM,  /* *.npy */
    EXPERIMENT_WEIGHTS, /* *.safetensors */
    EXPERIMENT_KINDS,
};

struct experiment_file {
    enum experiment_kind kind;
    char *path;
};

struct experiment_files {
    int count;
    struct experiment_file *file; /* by kind, then by path in natural order */
};

/* Take the operands: files by the ends of their names, and of folders what is in them and in
 * theirs, 16 levels deep; hidden entries, links to folders, empty *.tsv and other names there are
 * passed over. An operand with another name, one that cannot be read, and nothing at all are
 * errors, after which there is nothing to free. */
int experiment_files_find(struct experiment_files *files, char *const *operand, int operands,
                          struct error *error);
void experiment_files_free(struct experiment_files *files); /* {0} is fine */

#endif
