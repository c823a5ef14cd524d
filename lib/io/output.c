#include "lib/io/output.h"

#include "lib/io/output_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The names that a signal handler removes. A name is set before its file is made. */
enum { OUTPUTS = 16 };
static char temporary[OUTPUTS][PATH_MAX];
static volatile sig_atomic_t taken[OUTPUTS];

void outputs_discard(void)
{
    for (int slot = 0; slot < OUTPUTS; slot++)
        if (taken[slot])
            unlink(temporary[slot]);
    output_folder_discard();
}

/* Make the temporary file beside output->target. */
static int open_temporary(struct output *output, struct error *error)
{
    int slot = 0;
    while (slot < OUTPUTS && taken[slot])
        slot++;
    if (slot == OUTPUTS)
        return error_set(error, "more than %d files are being written", OUTPUTS);
    int length =
        snprintf(temporary[slot], PATH_MAX, "%s.part-%ld-%d", output->target, (long)getpid(), slot);
    if (length >= PATH_MAX)
        return error_set(error, "writing %s: %s", output->name, strerror(ENAMETOOLONG));
    output->slot = slot;
    unlink(temporary[slot]); /* of a killed process that had the same id */
    taken[slot] = 1;
    /* libtiff reads back what it wrote. */
    output->fd = open(temporary[slot], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->fd >= 0)
        return 0;
    taken[slot] = 0;
    return error_set(error, "writing %s: %s", output->name, strerror(errno));
}

static int open_path(struct output *output, const char *path, struct error *error)
{
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (!exists && (errno != ENOENT || !*path))
        return error_set(error, "writing %s: %s", path, strerror(errno));
    if (exists && S_ISDIR(status.st_mode))
        return error_set(error, "writing %s: %s", path, strerror(EISDIR));
    if (exists && access(path, W_OK))
        return error_set(error, "writing %s: %s", path, strerror(errno));
    if (exists && !S_ISREG(status.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
        return output->fd < 0 ? error_set(error, "writing %s: %s", path, strerror(errno)) : 0;
    }
    output->target = exists ? realpath(path, NULL) : strdup(path);
    if (!output->target)
        return error_set(error, "writing %s: %s", path, strerror(errno));
    if (open_temporary(output, error)) {
        free(output->target);
        return -1;
    }
    if (exists)
        fchmod(output->fd, status.st_mode & 07777);
    return 0;
}

int output_open(struct output *output, const char *path, struct error *error)
{
    *output = (struct output){.fd = STDOUT_FILENO, .name = "stdout"};
    if (path && strcmp(path, "-")) {
        output->name = path;
        if (open_path(output, path, error))
            return -1;
    }
    if (!isatty(output->fd))
        return 0;
    output_discard(output);
    return error_set(error, "tensors are not written to a terminal; use -o FILE or a pipe");
}

int output_write(struct output *output, const void *data, size_t size, struct error *error)
{
    for (const char *at = data; size;) {
        ssize_t written = write(output->fd, at, size);
        if (written >= 0) {
            at += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){.fd = output->fd, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return error_set(error, "writing %s: %s", output->name, strerror(errno));
        }
    }
    return 0;
}

/* Forget the temporary name. */
static void release(struct output *output)
{
    if (output->target) {
        taken[output->slot] = 0;
        free(output->target);
        output->target = NULL;
    }
}

int output_rename(struct output *output, const char *path, struct error *error)
{
    char *target = access(path, F_OK) ? strdup(path) : realpath(path, NULL);
    if (!target)
        return error_set(error, "writing %s: %s", path, strerror(errno));
    free(output->target);
    output->target = target;
    output->name = path;
    return 0;
}

int output_close(struct output *output, struct error *error)
{
    int status = close(output->fd);
    if (!status && output->target)
        status = rename(temporary[output->slot], output->target);
    if (status) {
        error_set(error, "writing %s: %s", output->name, strerror(errno));
        if (output->target)
            unlink(temporary[output->slot]);
    }
    release(output);
    return status;
}

void output_discard(struct output *output)
{
    if (output->target)
        unlink(temporary[output->slot]);
    close(output->fd);
    release(output);
}
