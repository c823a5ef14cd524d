#include "lib/core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return -1;
}

int error_prefix(struct error *error, const char *format, ...)
{
    if (error) {
        char prefix[sizeof error->text - 2];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(prefix, sizeof prefix, format, arguments);
        va_end(arguments);
        size_t length = strlen(prefix);
        memmove(error->text + length + 2, error->text, sizeof error->text - length - 2);
        memcpy(error->text, prefix, length);
        memcpy(error->text + length, ": ", 2);
        error->text[sizeof error->text - 1] = 0;
    }
    return -1;
}
