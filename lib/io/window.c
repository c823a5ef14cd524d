#include "lib/io/window.h"

#include "lib/core/numbers.h"

#include <math.h>

int window_parse(struct window *window, const char *text, struct error *error)
{
    double bound[2];
    if (numbers_parse(text, 2, bound, error) < 0)
        return -1;
    *window = (struct window){bound[0], bound[1]};
    return window->low < window->high ? 0 : error_set(error, "%s: LO must be less than HI", text);
}

struct window window_of_volume(enum dtype dtype)
{
    return dtype == DTYPE_U8 ? (struct window){0, 255} : (struct window){-1, 1};
}

uint8_t window_gray(double value, struct window window)
{
    double level = floor(255 * (value - window.low) / (window.high - window.low) + 0.5);
    return level > 0 ? (uint8_t)(level < 255 ? level : 255) : 0;
}
