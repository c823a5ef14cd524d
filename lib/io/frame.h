/* Planes made larger at their end, or cut out of larger ones; elements of any type. */
#ifndef OCTPIPE_IO_FRAME_H
#define OCTPIPE_IO_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* from (planes, h, w) to (planes, to_h, to_w), both extents at least as long. What is new holds
 * *value, or without one its nearest old element. size: bytes of an element. */
void frame_pad(const void *from, int64_t planes, int64_t h, int64_t w, void *to, int64_t to_h,
               int64_t to_w, const void *value, int64_t size);

/* The part of from (planes, h, w) that starts at (top, left), to (planes, to_h, to_w). */
void frame_crop(const void *from, int64_t planes, int64_t h, int64_t w, int64_t top, int64_t left,
                void *to, int64_t to_h, int64_t to_w, int64_t size);

/* from (planes, h, w) to the same, rows and columns in reverse order where that is asked for. */
void frame_flip(const void *from, int64_t planes, int64_t h, int64_t w, bool rows, bool columns,
                void *to, int64_t size);

/* count elements of *value. */
void frame_fill(void *to, int64_t count, const void *value, int64_t size);

#endif
