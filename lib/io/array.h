/* What an array of the stream says of itself: type, shape, and the metadata of a marked one. */
#ifndef OCTPIPE_IO_ARRAY_H
#define OCTPIPE_IO_ARRAY_H

#include "kernels/tensor.h"
#include "lib/core/error.h"

#include <stdbool.h>

enum { ARRAY_RANK = 8, ARRAY_KIND = 32, ARRAY_AXES = 16, ARRAY_HISTORY = 8000 };

struct array {
    enum dtype dtype;
    int rank;
    int64_t shape[ARRAY_RANK];

    bool marked;                 /* carries octpipe metadata and a trailer; else a bare NPY array */
    char kind[ARRAY_KIND];       /* "volume", "latent", "labels", "surfaces", "en-face map", "" */
    char axes[ARRAY_AXES];       /* one letter an axis, "DCHW"; "" when unknown */
    double spacing[3];           /* millimetres along D, H, W; 0 when unknown */
    int64_t original[3];         /* D, H, W before padding; 0 when not padded */
    int64_t padded[3];           /* D, H, W right after padding; see array_unpadded */
    int64_t index, of;           /* position among the arrays of its making; of = 0: unknown */
    char history[ARRAY_HISTORY]; /* command lines so far, one a line, without a final newline */
};

/* Elements of one slice (all axes but the first), slices, and elements and bytes of the whole.
 * Shapes are checked against overflow when they are read. A rank-0 array has one slice of one
 * element. */
int64_t array_slice_count(const struct array *array);
int64_t array_slices(const struct array *array);
int64_t array_count(const struct array *array);
int64_t array_bytes(const struct array *array);

/* How many of the `left` slices make a piece of some 256 kB: at least one. For stages that treat
 * elements alike, so that short slices cost no more than long ones. */
int64_t array_batch(const struct array *array, int64_t left);

/* Refuse a shape that overflows int64_t bytes, that holds no element, or an impossible rank. */
int array_check(const struct array *array, struct error *error);

/* "f4 (64, 4, 64, 64)" into text; returns text. */
const char *array_describe(const struct array *array, char *text, int size);

/* The name NumPy gives a dtype, "f4", and back; bf16 has none in NPY. −1 for an unknown name. */
const char *dtype_name(enum dtype dtype);
int dtype_from_name(const char *name, enum dtype *dtype);

/* Convert count elements to f32 or f64 (exactly where the type allows; integers as their value). */
void array_to_f32(const void *from, enum dtype dtype, float *to, int64_t count);
void array_to_f64(const void *from, enum dtype dtype, double *to, int64_t count);

/* Convert count numbers to a type: reals round to nearest (ties to even) and overflow to infinity,
 * integers round likewise and stop at their bounds. Returns how many NaN became 0 because the type
 * has none. */
int64_t array_from_f64(const double *from, enum dtype dtype, void *to, int64_t count);

/* Reverse the bytes of count elements of `size` bytes each. */
void array_swap_bytes(void *elements, int64_t count, int64_t size);
int64_t array_from_f32(const float *from, enum dtype dtype, void *to, int64_t count);

/* The extents D, H, W of a (D,H,W) or (D,C,H,W) array without its padding: `original`, scaled as
 * the array was since it was padded; the array's own when it was not. */
void array_unpadded(const struct array *array, int64_t extent[3]);

/* Make `to` describe the output of a stage that reads `from`: index, of, spacing, original, padded
 * and history are taken over; dtype, rank, shape, kind and axes are the caller's to set. */
void array_derive(struct array *to, const struct array *from);

/* Append a command line to the history; the oldest entries give way when it would not fit. */
void array_add_history(struct array *array, const char *command_line);

/* Drop the oldest history entry, and let the entry "(earlier stages cut)" say so. */
void array_cut_history(struct array *array);

#endif
