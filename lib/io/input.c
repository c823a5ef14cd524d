#include "lib/io/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE = 1 << 20 };

int input_open(struct input *input, const char *path, struct error *error)
{
    bool standard = !strcmp(path, "-");
    input->name = standard ? "stdin" : path;
    input->begin = input->end = 0;
    input->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (input->fd < 0 || fstat(input->fd, &status))
        return error_set(error, "%s", strerror(errno));
    if (isatty(input->fd))
        return error_set(error, "it is a terminal; name a FILE or use a pipe");
    off_t position = lseek(input->fd, 0, SEEK_CUR);
    input->file_left = S_ISREG(status.st_mode) ? (int64_t)(status.st_size - position) : -1;
    posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    fcntl(input->fd, F_SETPIPE_SZ, PIPE); /* a wish; not every input is a pipe */
    return 0;
}

void input_close(struct input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = -1;
}

/* One read: the bytes got, 0 at the end, −1. */
static ssize_t read_some(int fd, void *data, size_t size, struct error *error)
{
    for (;;) {
        ssize_t got = read(fd, data, size);
        if (got >= 0)
            return got;
        if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
        else if (errno != EINTR)
            return error_set(error, "%s", strerror(errno));
    }
}

int64_t input_read(struct input *input, void *data, int64_t size, struct error *error)
{
    unsigned char *to = data;
    int64_t left = size;
    while (left) {
        int64_t held = (int64_t)(input->end - input->begin);
        if (!held && left >= INPUT_BUFFER) { /* past the buffer */
            held = read_some(input->fd, to, (size_t)left, error);
        } else if (!held) {
            held = read_some(input->fd, input->buffer, INPUT_BUFFER, error);
            input->begin = 0;
            input->end = held > 0 ? (size_t)held : 0;
            if (held > 0)
                continue;
        } else {
            held = held < left ? held : left;
            memcpy(to, input->buffer + input->begin, (size_t)held);
            input->begin += (size_t)held;
        }
        if (held < 0)
            return -1;
        if (!held)
            break;
        to += held;
        left -= held;
    }
    if (input->file_left >= 0)
        input->file_left -= size - left;
    return size - left;
}
