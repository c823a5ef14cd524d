/* Which values a picture shows black and white. */
#ifndef OCTPIPE_IO_WINDOW_H
#define OCTPIPE_IO_WINDOW_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

struct window {
    double low, high; /* black, white */
};

/* Read "LO,HI", with LO less than HI. */
int window_parse(struct window *window, const char *text, struct error *error);

/* The whole range of a volume: 0…255 of u1, −1…1 of reals. */
struct window window_of_volume(enum dtype dtype);

/* 0…255, rounded to nearest and clamped; NaN is black. */
uint8_t window_gray(double value, struct window window);

#endif
