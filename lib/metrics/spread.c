#include "lib/metrics/spread.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void spread_add(struct spread *spread, double value)
{
    if (isnan(value))
        return;
    spread->count++;
    if (isinf(value) || isinf(spread->mean)) {
        spread->mean += value;
        spread->squares = NAN;
        return;
    }
    double offset = value - spread->mean;
    spread->mean += offset / (double)spread->count;
    spread->squares += offset * (value - spread->mean);
}

double spread_deviation(const struct spread *spread)
{
    return spread->count < 2 ? NAN : sqrt(spread->squares / (double)(spread->count - 1));
}

/* The spread of a part; a part seen for the first time is put in its place. NULL: no memory. */
static struct spread *find_part(struct spreads *spreads, int64_t number)
{
    int64_t at = 0;
    while (at < spreads->parts && spreads->part[at].number < number)
        at++;
    if (at < spreads->parts && spreads->part[at].number == number)
        return &spreads->part[at].spread;
    struct spread_part *longer =
        realloc(spreads->part, (size_t)(spreads->parts + 1) * sizeof *longer);
    if (!longer)
        return NULL;
    memmove(longer + at + 1, longer + at, (size_t)(spreads->parts - at) * sizeof *longer);
    longer[at] = (struct spread_part){.number = number};
    spreads->part = longer;
    spreads->parts++;
    return &longer[at].spread;
}

int spreads_add(struct spreads *spreads, const struct measurement *measurement, struct error *error)
{
    spreads->arrays++;
    spread_add(&spreads->value, measurement->value);
    for (int64_t i = 0; i < measurement->parts; i++) {
        struct spread *spread = find_part(spreads, measurement->part[i].number);
        if (!spread)
            return error_set(error, "out of memory");
        spread_add(spread, measurement->part[i].value);
    }
    return 0;
}

void spreads_free(struct spreads *spreads)
{
    free(spreads->part);
    *spreads = (struct spreads){0};
}
