/* Golden files: inputs, weights and outputs of a reference (testdata/goldens/README.md), and what
 * tests need to compare with them. Arrays there are in PyTorch's order (n, c, [d,] h, w). */
#ifndef OCTPIPE_TESTS_GOLDEN_H
#define OCTPIPE_TESTS_GOLDEN_H

#include "lib/io/safetensors.h"

/* Call test(path) for every file NAME*.safetensors in testdata/goldens and in $GOLDEN; returns how
 * many there were. */
int golden_each(const char *name, void (*test)(const char *path));

/* The tensor of an open golden, which must exist and be F32; test failure otherwise. */
const struct safetensor *golden_tensor(const struct safetensors *file, const char *name);
int64_t golden_count(const struct safetensor *tensor);

/* Swap axes of (n, a, b, rest) → (n, b, a, rest): (n,c,d,hw) to the stream's (n,d,c,hw) and back.
 * The caller frees the result. */
float *golden_swapped(const float *from, int64_t n, int64_t a, int64_t b, int64_t rest);

/* √Σ(x−y)² / √Σy². */
double golden_distance(const float *x, const float *y, int64_t count);

/* Fail when the relative L2 distance is over the tolerance; print it either way. */
void golden_compare(const char *what, const float *x, const float *y, int64_t count,
                    double tolerance);

#endif
