/* Bytes as text (RFC 4648). */
#ifndef OCTPIPE_IO_BASE64_H
#define OCTPIPE_IO_BASE64_H

#include <stddef.h>

/* Characters that stand for size bytes. */
size_t base64_length(size_t size);

/* Write that many characters, and no final 0. */
void base64_encode(const void *data, size_t size, char *text);

#endif
