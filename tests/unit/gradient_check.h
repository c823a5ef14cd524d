/* Holding the gradients of one operation, as graph_differentiate makes them, against differences of
 * its reference in double. */
#ifndef OCTPIPE_TESTS_GRADIENT_CHECK_H
#define OCTPIPE_TESTS_GRADIENT_CHECK_H

#include "kernels/operation.h"

/* `count` odd multiples of 1/32, f32, below 1 but for `offset` (a multiple of 1/16): exact in bf16
 * up to 2, and away from 0, ±1 and all even multiples by more than the differences below. The
 * caller frees. */
float *gradient_values(int64_t count, uint64_t seed, float offset);

/* Bits of `wanted` for all weights; bit i is for input i. */
#define GRADIENT_WEIGHTS (~0u << OPERATION_INPUTS)

/* Differentiate Σ dy·f, f the operation, dy random, with respect to the inputs and weights whose
 * bits are set in `wanted`; run it under every instruction set and with 1, 2 and 3 threads,
 * which must give the same bits; compare with differences of fourth order of the reference, taken
 * at ±1/128 and ±1/64: each error is at most `tolerance` times the largest gradient of its tensor.
 * Inputs and weights are f32 values; where the operation's inputs are bf16, they are given so, and
 * the tolerance is 2^-7: half a unit in the last place of gradients, and of what they are made of.
 */
void gradient_check(const struct operation *operation, const float *const *inputs, unsigned wanted,
                    double tolerance);

#endif
