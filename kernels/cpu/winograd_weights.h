/* The gradient of a kernel whose planes are 3×3 with stride 1, by the transpose of winograd.h: over
 * all tiles of 4×4 outputs, 36 products of transformed dy and x for each plane of the kernel take
 * the place of 144. x and dy may be bf16; products and sums are f32. Any padding, upsampling, and
 * stride along d.
 *
 * The tiles are taken in parts, some tiles of some slices, whose transforms are kept in the
 * workspace. All threads transform a part together; then each takes chunks of the kernel, sums
 * their products over the part, and adds them, transformed back, to the gradient. */
#ifndef OCTPIPE_KERNELS_CPU_WINOGRAD_WEIGHTS_H
#define OCTPIPE_KERNELS_CPU_WINOGRAD_WEIGHTS_H

#include "kernels/cpu/convolution_map.h"

struct convolution_weights;
struct winograd_weights;

/* True where this is faster than convolution_weights.h: by types and the shape of a slice alone. */
bool winograd_weights_suits(const struct operation *forward);

/* Adds to workspace the bytes of a run; the map stays the caller's and must outlive this. Returns
 * NULL or a static reason. */
const char *winograd_weights_create(struct winograd_weights **winograd,
                                    const struct operation *forward,
                                    const struct convolution_map *map, struct needs *needs);
void winograd_weights_destroy(struct winograd_weights *winograd); /* NULL is fine */

/* Add to the gradients of `weights`; for every thread of a team to call. */
void winograd_weights_run(const struct winograd_weights *winograd,
                          const struct convolution_weights *weights, const void *x, const void *dy,
                          void *workspace);

#endif
