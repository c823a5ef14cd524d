/* What outputs of a convolution with few input channels see under all taps, side by side: so that
 * the gradient of its kernel is one product of matrices. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_PATCHES_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_PATCHES_H

#include "kernels/cpu/convolution_map.h"

enum { PATCH_CHANNELS = 4 /* at most */ };

struct convolution_patches {
    struct operation of; /* the convolution */
    struct convolution_map map;
    int64_t numbers; /* of a patch: (taps, channels) */
};

/* 0, or −1 when memory is out; destroyed in either case. */
int convolution_patches_create(struct convolution_patches *patches, const struct operation *of);
void convolution_patches_destroy(struct convolution_patches *patches);

/* The patches of outputs begin … begin+count−1, counted over all samples, of the input's type. */
void convolution_patches_fill(const struct convolution_patches *patches, const void *input,
                              int64_t begin, int64_t count, void *to);

#endif
