/* Parts of an import; for lib/checkpoint/import*.c. */
#ifndef OCTPIPE_CHECKPOINT_IMPORT_PARTS_H
#define OCTPIPE_CHECKPOINT_IMPORT_PARTS_H

#include "lib/checkpoint/import.h"

enum { IMPORT_NAME = 512 }; /* bytes of the longest name */

/* A tensor of a checkpoint under our name. */
struct source {
    char *name;
    struct checkpoint *file;
    const struct checkpoint_tensor *tensor;
};

struct import {
    const struct import_settings *settings;
    struct checkpoint *file;
    int64_t files;
    struct source *source; /* sorted by name: what may be of the part */
    int64_t sources;
    struct source *chosen; /* in the order of writing; names are those of the new file */
    int64_t chosen_count, averages;
};

/* Fill in import->source. */
int import_list(struct import *import, struct error *error);

/* The one source of that name; NULL where there is none. Two are an error. */
int import_find(const struct import *import, const char *name, const struct source **found,
                struct error *error);

/* Fill in import->chosen: the tensors of the list, and their averages. */
int import_choose(struct import *import, const struct safetensor *list, int64_t count,
                  struct error *error);

/* Name, shape, and the type that is written. */
struct safetensor import_describe(const struct source *source);

#endif
