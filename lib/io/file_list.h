/* Operands as files: a folder stands for the files *.npy in it, in the order of their names. */
#ifndef OCTPIPE_IO_FILE_LIST_H
#define OCTPIPE_IO_FILE_LIST_H

#include "lib/core/error.h"

struct file_list {
    int count;
    char **path; /* what is no folder, "-" too, is taken as it is */
};

/* A folder that cannot be read, or holds no such file, is an error that names it; then there is
 * nothing to free. */
int file_list_make(struct file_list *list, char *const *operand, int operands, struct error *error);
void file_list_free(struct file_list *list); /* {0} is fine */

#endif
