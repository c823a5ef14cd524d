/* The mirror of a convolution with stride 1 and zero padding is the convolution of dy with the
 * mirrored kernel, which makes dx. Where the input is upsampled along an axis, of n positions,
 * outputs 2i+1−k and 2i+2−k alone see position i under tap k = 0, 1, 2. With the boxes
 * s[j] = dy[j−1] + dy[j], j = 0 … 2n, dy being zero outside,
 *   dx[i] = Σ_k W_kᵀ·s[2i+2−k],   dW_k = Σ_i s[2i+2−k]·x[i]:
 * the mirror has stride 2, and of both there are an eighth (a quarter in 2-D) of the products. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_BOXES_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_BOXES_H

#include "kernels/operation.h"

struct convolution_boxes {
    struct tensor dy, s;
    bool summed[AXES];
    int64_t row_floats; /* of dy */
    size_t at, rows_at; /* in the workspace: s, two rows of each thread */
    int threads;
};

/* True where a forward convolution has a mirror; *mirror is that, from s, or from dy where no axis
 * is upsampled, to a map like x: plain, with one kernel, whose weight has a shape but no data. */
bool convolution_boxes_mirror(const struct operation *forward, struct operation *mirror);

/* True where boxes are summed along any axis. */
bool convolution_boxes_there(const struct operation *forward);

/* Adds to workspace the bytes of s, a tensor like the mirror's input, and of what makes it. */
void convolution_boxes_create(struct convolution_boxes *boxes, const struct operation *forward,
                              struct tensor s, struct needs *needs);

/* Make s in the workspace; for every thread of a team to call. */
void convolution_boxes_run(const struct convolution_boxes *boxes, const void *dy, void *workspace);

#endif
