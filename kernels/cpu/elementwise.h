/* Operations of one element at a time: blocks of f32 or bf16 values as f32, on all threads. A block
 * may also give a sum; blocks are the same for any number of threads, and so are sums over them. */
#ifndef OCTPIPE_KERNELS_CPU_ELEMENTWISE_H
#define OCTPIPE_KERNELS_CPU_ELEMENTWISE_H

#include "kernels/operation.h"

enum { ELEMENTWISE_INPUTS = 3, ELEMENTWISE_BLOCK = 1024 };

struct elementwise {
    int64_t count;
    int inputs, threads;
    enum dtype in[ELEMENTWISE_INPUTS], out;
};

/* `count` values of each input to out (NULL where there is no output; else it may lie where an
 * input lies); returns the block's sum. */
typedef float elementwise_function(const void *context, const float *const *in, float *out,
                                   int64_t count);

/* For inputs 0 … inputs−1 of the operation, which check_elementwise passes. */
void elementwise_plan(struct elementwise *elementwise, const struct operation *operation,
                      int inputs);

/* Floats of `sums` for elementwise_run. */
int64_t elementwise_blocks(const struct elementwise *elementwise);

/* output and sums may be NULL. Returns the sum over all blocks, 0 without sums. */
double elementwise_run(const struct elementwise *elementwise, const void *const *inputs,
                       void *output, float *sums, elementwise_function *function,
                       const void *context);

#endif
