/* Errors: library functions return 0 on success and −1 with a reason in `struct error`.
 * The reason is one line without a newline; the caller knows the program and the input. */
#ifndef OCTPIPE_CORE_ERROR_H
#define OCTPIPE_CORE_ERROR_H

struct error {
    char text[512];
};

/* Write the reason (printf style) and return −1. error may be NULL. */
int error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the reason already there and return −1. */
int error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
