#include "lib/core/numbers.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

int numbers_parse(const char *text, int count, double *number, struct error *error)
{
    const char *at = text;
    for (int i = 0; i < count; i++) {
        char *end;
        number[i] = strtod(at, &end);
        if (end == at || isspace((unsigned char)*at) || !isfinite(number[i]) ||
            *end != (i + 1 < count ? ',' : '\0'))
            return error_set(error, "%s: not %d numbers with commas between them", text, count);
        at = end + 1;
    }
    return 0;
}
