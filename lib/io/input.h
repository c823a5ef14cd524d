/* A file, pipe or stdin being read, through a buffer. */
#ifndef OCTPIPE_IO_INPUT_H
#define OCTPIPE_IO_INPUT_H

#include "lib/core/error.h"

#include <stddef.h>
#include <stdint.h>

enum { INPUT_BUFFER = 1 << 18 };

struct input {
    int fd;
    const char *name;  /* for messages: the path (the caller's), or "stdin" */
    int64_t file_left; /* bytes that a regular file still has, −1 for others */
    size_t begin, end; /* what is in the buffer */
    unsigned char buffer[INPUT_BUFFER];
};

/* "-" is stdin, never a terminal. */
int input_open(struct input *input, const char *path, struct error *error);

/* Read size bytes, fewer only at the end; how many, or −1. */
int64_t input_read(struct input *input, void *data, int64_t size, struct error *error);

/* A second call, or one after a failed open, does nothing. */
void input_close(struct input *input);

#endif
