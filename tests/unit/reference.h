/* The operations as their definitions in kernels/operation.h read: in double, value by value, with
 * no thought of speed. */
#ifndef OCTPIPE_TESTS_REFERENCE_H
#define OCTPIPE_TESTS_REFERENCE_H

#include "kernels/operation.h"

/* Where element (n, d, h, w, c) of a tensor lies, counted in elements. */
int64_t reference_offset(const struct tensor *tensor, int64_t n, int64_t d, int64_t h, int64_t w,
                         int64_t c);

/* Element `offset` of an F32, F16, BF16 or U8 array, and the way there for F32, BF16 (to nearest,
 * ties to even) and U8. */
double reference_get(const void *data, enum dtype dtype, int64_t offset);
void reference_set(void *data, enum dtype dtype, int64_t offset, double value);

/* Compute any operation of a forward graph but a transposed convolution, and OP_CONVOLUTION_DATA;
 * output is in the layout of operation->output. */
void reference_run(const struct operation *operation, const void *const *inputs, double *output);

/* A convolution that is not transposed, for reference_run. */
void reference_convolution(const struct operation *operation, const void *const *inputs,
                           double *output);
void reference_convolution_pair(const struct operation *operation, const void *const *inputs,
                                double *output);

/* Convolution 0 or 1 of a pair as an operation of its own. */
struct operation reference_half(const struct operation *pair, int half);

/* The gradient of a convolution's input, for reference_run, of any convolution. */
void reference_convolution_data(const struct operation *operation, const void *const *inputs,
                                double *output);

/* Σ x·dy and Σ dy of every kernel and bias, times a, to sums[] (in the shapes of the weights), and
 * the sums of absolute terms to absolute[]; all are set to 0 first. */
void reference_convolution_weights(const struct operation *operation, const void *const *inputs,
                                   double *const *sums, double *const *absolute);

/* The operations that only training needs, for reference_run. */
void reference_add(const struct operation *operation, const void *const *inputs, double *output);
void reference_loss(const struct operation *operation, const void *const *inputs, double *output);
void reference_gather(const struct operation *operation, const void *const *inputs, double *output);
void reference_leaky_relu(const struct operation *operation, const void *const *inputs,
                          double *output);
void reference_max_pool(const struct operation *operation, const void *const *inputs,
                        double *output);
void reference_feature_distance(const struct operation *operation, const void *const *inputs,
                                double *output);

#endif
