#include "lib/io/select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t missing = INT64_MIN;

/* The numbers of "a:b:step"; how many parts, or −1. */
static int split(const char *text, int64_t part[3])
{
    int parts = 0;
    for (const char *at = text;; at++) {
        char *end = (char *)at;
        if (parts == 3)
            return -1;
        part[parts] = missing;
        if (*at != ':' && *at) {
            errno = 0;
            part[parts] = strtoll(at, &end, 10);
            if (end == at || strchr(" \t\n", *at) || errno || part[parts] == missing)
                return -1;
        }
        parts++;
        if (!*end)
            return parts;
        if (*end != ':')
            return -1;
        at = end;
    }
}

/* A bound of a range, as Python understands it. */
static int64_t bound(int64_t value, int64_t unset, int64_t extent)
{
    if (value == missing)
        return unset;
    if (value < 0)
        value += extent;
    return value < 0 ? 0 : value > extent ? extent : value;
}

int range_parse(const char *text, int64_t extent, struct range *range, struct error *error)
{
    int64_t part[3] = {missing, missing, missing};
    int parts = split(text, part);
    if (parts < 1 || (parts == 1 && part[0] == missing))
        return error_set(error, "%s: not a range such as 10:20, -5: or ::2", text);
    range->step = part[2] == missing ? 1 : part[2];
    if (range->step < 1)
        return error_set(error, "%s: the step must be at least 1", text);
    if (parts == 1) {
        int64_t index = part[0] < 0 ? part[0] + extent : part[0];
        if (index < 0 || index >= extent)
            return error_set(error, "%s: the axis has %lld elements", text, (long long)extent);
        range->first = index;
        range->count = 1;
        return 0;
    }
    int64_t first = bound(part[0], 0, extent), end = bound(part[1], extent, extent);
    if (first >= end)
        return error_set(error, "%s: no element of %lld", text, (long long)extent);
    range->first = first;
    range->count = (end - first - 1) / range->step + 1;
    return 0;
}

void select_range(const void *from, int64_t outer, int64_t extent, int64_t inner,
                  const struct range *range, void *to)
{
    const unsigned char *source = from;
    unsigned char *target = to;
    for (int64_t o = 0; o < outer; o++) {
        const unsigned char *line = source + (o * extent + range->first) * inner;
        if (range->step == 1) {
            memcpy(target, line, (size_t)(range->count * inner));
            target += range->count * inner;
            continue;
        }
        for (int64_t i = 0; i < range->count; i++) {
            memcpy(target, line + i * range->step * inner, (size_t)inner);
            target += inner;
        }
    }
}
