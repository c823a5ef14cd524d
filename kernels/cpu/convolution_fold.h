/* The gradient of a replicate-padded input. Of the padded map the convolution has no padding, so
 * that its mirror (convolution_boxes.h) makes the gradient of that map, in f32; what falls on
 * repeated positions then belongs to the border that they repeat. */
#ifndef OCTPIPE_KERNELS_CPU_CONVOLUTION_FOLD_H
#define OCTPIPE_KERNELS_CPU_CONVOLUTION_FOLD_H

#include "kernels/operation.h"

struct convolution_fold {
    struct tensor dx, padded;
    int64_t front[AXES];
    size_t at; /* of the padded map in the workspace */
    int threads;
};

/* True where a forward convolution pads so, without strides; *mirror makes a padded map. */
bool convolution_fold_mirror(const struct operation *forward, struct operation *mirror);

/* Adds to workspace the bytes of the padded map. */
void convolution_fold_create(struct convolution_fold *fold, const struct operation *forward,
                             struct tensor padded, struct needs *needs);

/* dx = the padded map in the workspace, folded, + added, which may be NULL or dx. */
void convolution_fold_run(const struct convolution_fold *fold, const void *added, void *dx,
                          void *workspace);

#endif
