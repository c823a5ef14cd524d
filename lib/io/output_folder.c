#include "lib/io/output_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME = 64, DIGITS_LEAST = 3 };

struct output_folder {
    char temporary[PATH_MAX];
    char extension[16];
    int descriptor, digits;
    volatile sig_atomic_t open;
    volatile int64_t files; /* made so far */
};
static struct output_folder only; /* what a signal handler removes */

/* The name of file `index`, without stdio, for a signal handler. */
static void name_file(const struct output_folder *folder, int64_t index, char name[NAME])
{
    for (int i = folder->digits - 1; i >= 0; i--, index /= 10)
        name[i] = (char)('0' + index % 10);
    memcpy(name + folder->digits, folder->extension, sizeof folder->extension);
}

void output_folder_discard(void)
{
    char name[NAME];
    if (!only.open)
        return;
    for (int64_t i = 0; i < only.files; i++) {
        name_file(&only, i, name);
        unlinkat(only.descriptor, name, 0);
    }
    rmdir(only.temporary);
    close(only.descriptor);
    only.open = 0;
}

static bool is_empty(DIR *folder)
{
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    return true;
}

/* rename takes the place of an empty folder, and of no other. */
static int check_place(const char *path, struct error *error)
{
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? 0 : error_set(error, "writing %s: %s", path, strerror(errno));
    bool empty = is_empty(folder);
    closedir(folder);
    return empty ? 0 : error_set(error, "writing %s: the folder is not empty", path);
}

int output_folder_open(struct output_folder **result, const char *path, int64_t files,
                       const char *extension, struct error *error)
{
    size_t length = strlen(path);
    if (only.open)
        return error_set(error, "a second folder while one is being written");
    if (check_place(path, error) < 0)
        return -1;
    while (length > 1 && path[length - 1] == '/')
        length--;
    only = (struct output_folder){.digits = snprintf(NULL, 0, "%lld", (long long)files - 1)};
    if (only.digits < DIGITS_LEAST)
        only.digits = DIGITS_LEAST;
    snprintf(only.extension, sizeof only.extension, "%s", extension);
    if (snprintf(only.temporary, sizeof only.temporary, "%.*s.part-%ld", (int)length, path,
                 (long)getpid()) >= (int)sizeof only.temporary)
        return error_set(error, "writing %s: %s", path, strerror(ENAMETOOLONG));
    if (mkdir(only.temporary, 0777) != 0)
        return error_set(error, "writing %s: %s", path, strerror(errno));
    only.descriptor = open(only.temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (only.descriptor < 0) {
        rmdir(only.temporary);
        return error_set(error, "writing %s: %s", path, strerror(errno));
    }
    only.open = 1;
    *result = &only;
    return 0;
}

int output_folder_add(struct output_folder *folder, const void *data, size_t size,
                      struct error *error)
{
    char name[NAME];
    name_file(folder, folder->files, name);
    folder->files++;
    int fd = openat(folder->descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int status = fd < 0 ? -1 : 0;
    for (const char *at = data; status == 0 && size > 0;) {
        ssize_t written = write(fd, at, size);
        if (written > 0) {
            at += written;
            size -= (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            status = -1;
        }
    }
    if (status < 0)
        error_set(error, "writing %s/%s: %s", folder->temporary, name, strerror(errno));
    if (fd >= 0 && close(fd) != 0 && status == 0)
        status = error_set(error, "writing %s/%s: %s", folder->temporary, name, strerror(errno));
    return status;
}

int output_folder_close(struct output_folder *folder, const char *path, struct error *error)
{
    if (rename(folder->temporary, path) != 0)
        return error_set(error, "writing %s: %s", path, strerror(errno));
    folder->open = 0;
    close(folder->descriptor);
    return 0;
}
