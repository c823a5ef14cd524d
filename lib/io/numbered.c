#include "lib/io/numbered.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the extension starts, that of a compressed file with it (.nii.gz), or the end. */
static const char *extension(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    if (!dot || dot == base)
        return base + strlen(base);
    if (strcmp(dot, ".gz") == 0) {
        const char *before = memrchr(base, '.', (size_t)(dot - base));
        if (before && before > base)
            return before;
    }
    return dot;
}

/* Print the pattern with its one %d; the number of those it has, or −1. */
static int print_pattern(FILE *out, const char *pattern, int64_t index)
{
    enum { WIDTH_AT_MOST = 20 };
    int numbers = 0;
    for (const char *at = pattern; *at; at++) {
        if (*at != '%') {
            fputc(*at, out);
        } else if (at[1] == '%') {
            fputc(*at++, out);
        } else {
            bool zeros = at[1] == '0';
            char *end;
            long width = isdigit((unsigned char)at[1]) ? strtol(at + 1, &end, 10) : 0;
            if (width == 0)
                end = (char *)at + 1 + zeros;
            if (*end != 'd' || width > WIDTH_AT_MOST)
                return -1;
            fprintf(out, zeros ? "%0*lld" : "%*lld", (int)width, (long long)index);
            at = end;
            numbers++;
        }
    }
    return numbers;
}

int numbered_name(char **name, const char *pattern, int64_t index, bool several,
                  struct error *error)
{
    size_t size;
    *name = NULL;
    FILE *out = open_memstream(name, &size);
    if (!out)
        return error_set(error, "out of memory");
    const char *end = extension(pattern);
    int numbers = 0;
    if (strchr(pattern, '%'))
        numbers = print_pattern(out, pattern, index);
    else if (several)
        fprintf(out, "%.*s-%03lld%s", (int)(end - pattern), pattern, (long long)index, end);
    else
        fputs(pattern, out);
    if (fclose(out) != 0)
        error_set(error, "out of memory");
    else if (strchr(pattern, '%') && numbers != 1)
        error_set(error, "%s: a pattern for file names holds one %%d or %%03d", pattern);
    else
        return 0;
    free(*name);
    *name = NULL;
    return -1;
}
