#include "lib/core/options_value.h"

#include "lib/core/options_text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHAPE_RANK = 8, ELEMENT_BYTES_AT_MOST = 8 };

/* Of a number, or of each extent of a shape. */
static int check_range(const struct option *option, const char *text, double value,
                       struct error *error)
{
    char range[96];
    if (!options_text_range(option, range, sizeof range) ||
        (value >= option->low && value <= option->high))
        return 0;
    return error_set(error, "--%s %s: must be %s", option->name, text, range);
}

/* A decimal number at text; *end is what follows it. strtoll's blanks are refused. */
static int parse_whole(const char *text, int64_t *value, char **end)
{
    if (!isdigit((unsigned char)text[text[0] == '-' || text[0] == '+']))
        return -1;
    errno = 0;
    *value = strtoll(text, end, 10);
    return errno ? -1 : 0;
}

static int parse_int(const struct option *option, const char *text, struct error *error)
{
    int64_t value;
    char *end;
    if (parse_whole(text, &value, &end) < 0 || *end)
        return error_set(error, "--%s %s: not a whole number", option->name, text);
    if (check_range(option, text, (double)value, error) < 0)
        return -1;
    *(int64_t *)option->target = value;
    return 0;
}

static int parse_real(const struct option *option, const char *text, struct error *error)
{
    if (option->type == OPTION_CLIP && strcmp(text, "none") == 0) {
        *(double *)option->target = INFINITY;
        return 0;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)*text) || !isfinite(value))
        return error_set(error, "--%s %s: not a number%s", option->name, text,
                         option->type == OPTION_CLIP ? ", nor none" : "");
    if (check_range(option, text, value, error) < 0)
        return -1;
    *(double *)option->target = value;
    return 0;
}

/* A decimal number, then a unit; a part of a byte is cut off. */
static int parse_bytes(const struct option *option, const char *text, struct error *error)
{
    static const char units[] = "kmgt";
    double factor = 1;
    char *end;
    size_t digits = strspn(text, "0123456789."); /* strtod takes more */
    double value = strtod(text, &end);
    if (!digits || end != text + digits)
        return error_set(error, "--%s %s: not a number of bytes, such as 4G", option->name, text);
    if (*end) {
        const char *unit = strchr(units, tolower((unsigned char)*end));
        if (!unit || end[1])
            return error_set(error, "--%s %s: the unit is k, M, G or T", option->name, text);
        factor = ldexp(1, 10 * (int)(unit - units + 1));
    }
    if (value * factor >= 0x1p63)
        return error_set(error, "--%s %s: more than 2^63 bytes", option->name, text);
    if (check_range(option, text, value * factor, error) < 0)
        return -1;
    *(int64_t *)option->target = (int64_t)(value * factor);
    return 0;
}

static int parse_choice(const struct option *option, const char *text, struct error *error)
{
    char names[256] = "";
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *(int *)option->target = i;
            return 0;
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s",
                 i == 0                   ? ""
                 : option->choices[i + 1] ? ", "
                                          : " or ",
                 option->choices[i]);
    }
    return error_set(error, "--%s %s: must be %s", option->name, text, names);
}

static int parse_shape(const struct option *option, const char *text, struct error *error)
{
    struct option_shape shape = {0};
    int least = option->low == option->high; /* a range may allow 0 */
    int64_t bytes = ELEMENT_BYTES_AT_MOST;
    for (const char *at = text;; at++) {
        int64_t extent;
        char *end;
        if (parse_whole(at, &extent, &end) < 0 || (*end && *end != ',') || extent < least)
            return error_set(error, "--%s %s: not whole numbers of at least %d with commas between",
                             option->name, text, least);
        if (shape.rank == SHAPE_RANK)
            return error_set(error, "--%s %s: more than %d axes", option->name, text, SHAPE_RANK);
        if (check_range(option, text, (double)extent, error) < 0)
            return -1;
        if (__builtin_mul_overflow(bytes, extent, &bytes))
            return error_set(error, "--%s %s: absurd shape", option->name, text);
        shape.extent[shape.rank++] = extent;
        if (!*end)
            break;
        at = end;
    }
    *(struct option_shape *)option->target = shape;
    return 0;
}

int options_set(const struct option *option, const char *text, struct error *error)
{
    switch (option->type) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        return 0;
    case OPTION_INT:
        return parse_int(option, text, error);
    case OPTION_BYTES:
        return parse_bytes(option, text, error);
    case OPTION_CHOICE:
        return parse_choice(option, text, error);
    case OPTION_SHAPE:
        return parse_shape(option, text, error);
    case OPTION_REAL:
    case OPTION_CLIP:
        return parse_real(option, text, error);
    case OPTION_STRING:
        break;
    }
    if (!*text)
        return error_set(error, "--%s: its value is empty", option->name);
    *(const char **)option->target = text;
    return 0;
}
