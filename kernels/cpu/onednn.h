/* The part of oneDNN that octpipe uses: forward convolutions on dense channels-last maps, for the
 * C interfaces of oneDNN 2 and 3. */
#ifndef OCTPIPE_KERNELS_CPU_ONEDNN_H
#define OCTPIPE_KERNELS_CPU_ONEDNN_H

#include "kernels/tensor.h"

#include <stdbool.h>
#include <stddef.h>

/* One convolution without its data. axes 2: (batch, c, h, w); 3: (batch, c, d, h, w). Extents,
 * kernel, stride and pads are given for d, h, w; with axes 2 those of d are unused. */
struct onednn_shape {
    int axes;
    int64_t batch, in_channels, out_channels;
    int64_t in[3], out[3], kernel[3], stride[3], pad_front[3], pad_back[3];
    enum dtype in_dtype, out_dtype;
    bool accumulate; /* dst = conv + accumulate_scale · dst */
    float accumulate_scale;
};

struct onednn_convolution;

/* Choose an implementation, never the reference one. Returns NULL or a static reason. */
const char *onednn_convolution_create(struct onednn_convolution **convolution,
                                      const struct onednn_shape *shape);
void onednn_convolution_destroy(struct onednn_convolution *convolution); /* NULL is fine */

size_t onednn_weight_bytes(const struct onednn_convolution *convolution);
size_t onednn_workspace_bytes(const struct onednn_convolution *convolution);

/* Pack f32 weights (out, in, [kd,] kh, kw) into `packed` in the layout the implementation wants. */
const char *onednn_pack_weights(const struct onednn_convolution *convolution, const float *weights,
                                void *packed);

/* True where `other` wants its weights packed just as `convolution` does. */
bool onednn_same_packing(const struct onednn_convolution *convolution,
                         const struct onednn_convolution *other);

const char *onednn_convolution_run(struct onednn_convolution *convolution, const void *source,
                                   const void *packed, const float *bias, void *destination,
                                   void *workspace);

#endif
