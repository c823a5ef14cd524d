#include "lib/io/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Take over a path that was made with malloc, or NULL where that failed. */
static int add(struct file_list *list, char *path, struct error *error)
{
    char **longer = realloc(list->path, (size_t)(list->count + 1) * sizeof *longer);
    if (longer)
        list->path = longer;
    if (longer && path) {
        list->path[list->count++] = path;
        return 0;
    }
    free(path);
    return error_set(error, "out of memory");
}

static int is_npy(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && !strcmp(entry->d_name + length - 4, ".npy");
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct file_list *list, const char *folder, struct error *error)
{
    struct dirent **entry;
    int count = scandir(folder, &entry, is_npy, compare_names), status = 0;
    if (count < 0)
        return error_set(error, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (status == 0) {
            if (asprintf(&path, "%s/%s", folder, entry[i]->d_name) < 0)
                path = NULL;
            status = add(list, path, error);
        }
        free(entry[i]);
    }
    free(entry);
    return count > 0 ? status : error_set(error, "%s: the folder holds no *.npy", folder);
}

int file_list_make(struct file_list *list, char *const *operand, int operands, struct error *error)
{
    *list = (struct file_list){0};
    int status = 0;
    for (int i = 0; i < operands && status == 0; i++) {
        struct stat about;
        bool folder =
            strcmp(operand[i], "-") && !stat(operand[i], &about) && S_ISDIR(about.st_mode);
        status =
            folder ? add_folder(list, operand[i], error) : add(list, strdup(operand[i]), error);
    }
    if (status < 0)
        file_list_free(list);
    return status;
}

void file_list_free(struct file_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->path[i]);
    free(list->path);
    *list = (struct file_list){0};
}
