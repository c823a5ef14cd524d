#include "lib/experiment/files.h"

#include "lib/scans/natural.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LEVELS = 16, OTHER = -1, EMPTY = -2 };

static bool ends(const char *path, const char *end)
{
    size_t length = strlen(path), wanted = strlen(end);
    return length > wanted && strcmp(path + length - wanted, end) == 0;
}

/* Of a *.tsv; EMPTY where it has no line yet, OTHER with a reason where it cannot be read. */
static int kind_of_table(const char *path, struct error *error)
{
    char start[8] = "";
    FILE *file = fopen(path, "re");
    if (!file) {
        error_set(error, "%s: %s", path, strerror(errno));
        return OTHER;
    }
    size_t count = fread(start, 1, sizeof start - 1, file);
    fclose(file);
    if (strncmp(start, "row\t", 4) == 0)
        return EXPERIMENT_TABLE;
    if (strncmp(start, "step\t", 5) == 0)
        return EXPERIMENT_CURVES;
    return count ? EXPERIMENT_FACTS : EMPTY;
}

/* OTHER with a reason where the name ends otherwise. */
static int kind_of(const char *path, struct error *error)
{
    if (ends(path, ".png"))
        return EXPERIMENT_PICTURE;
    if (ends(path, ".npy"))
        return EXPERIMENT_STREAM;
    if (ends(path, ".safetensors"))
        return EXPERIMENT_WEIGHTS;
    if (ends(path, ".tsv"))
        return kind_of_table(path, error);
    error_set(error, "%s: not a *.tsv, *.png, *.npy or *.safetensors", path);
    return OTHER;
}

static int add(struct experiment_files *files, int kind, const char *path, struct error *error)
{
    struct experiment_file *longer =
        realloc(files->file, (size_t)(files->count + 1) * sizeof *longer);
    if (!longer)
        return error_set(error, "out of memory");
    files->file = longer;
    char *copy = strdup(path);
    if (!copy)
        return error_set(error, "out of memory");
    longer[files->count++] = (struct experiment_file){(enum experiment_kind)kind, copy};
    return 0;
}

static int add_folder(struct experiment_files *files, const char *folder, int level,
                      struct error *error);

/* An entry of a folder. */
static int add_entry(struct experiment_files *files, const char *path, int level,
                     struct error *error)
{
    struct stat about;
    struct error other;
    if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return level < LEVELS ? add_folder(files, path, level + 1, error) : 0;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
        return 0;
    int kind = kind_of(path, &other);
    return kind < 0 ? 0 : add(files, kind, path, error);
}

static int add_folder(struct experiment_files *files, const char *folder, int level,
                      struct error *error)
{
    struct dirent *entry;
    int status = 0;
    DIR *open = opendir(folder);
    if (!open)
        return error_set(error, "%s: %s", folder, strerror(errno));
    while (status == 0 && (entry = readdir(open))) {
        char *path;
        if (entry->d_name[0] == '.')
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0) {
            status = error_set(error, "out of memory");
            break;
        }
        status = add_entry(files, path, level, error);
        free(path);
    }
    closedir(open);
    return status;
}

static int compare(const void *a, const void *b)
{
    const struct experiment_file *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : natural_compare(x->path, y->path);
}

static int add_operand(struct experiment_files *files, char *operand, struct error *error)
{
    struct stat about;
    size_t length = strlen(operand);
    if (stat(operand, &about) != 0)
        return error_set(error, "%s: %s", operand, strerror(errno));
    if (!S_ISDIR(about.st_mode)) {
        int kind = kind_of(operand, error);
        if (kind == EMPTY)
            error_set(error, "%s: the table is empty", operand);
        return kind < 0 ? -1 : add(files, kind, operand, error);
    }
    while (length > 1 && operand[length - 1] == '/')
        operand[--length] = 0;
    return add_folder(files, operand, 1, error);
}

int experiment_files_find(struct experiment_files *files, char *const *operand, int operands,
                          struct error *error)
{
    *files = (struct experiment_files){0};
    int status = 0;
    for (int i = 0; i < operands && status == 0; i++)
        status = add_operand(files, operand[i], error);
    if (status == 0 && files->count == 0)
        status = error_set(error, "there is no *.tsv, *.png, *.npy or *.safetensors");
    if (status < 0) {
        experiment_files_free(files);
        return -1;
    }
    qsort(files->file, (size_t)files->count, sizeof *files->file, compare);
    return 0;
}

void experiment_files_free(struct experiment_files *files)
{
    for (int i = 0; i < files->count; i++)
        free(files->file[i].path);
    free(files->file);
    *files = (struct experiment_files){0};
}
