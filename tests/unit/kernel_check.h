/* Running a kernel between guard bytes and holding it to its promises: the values of the reference,
 * and the same bits for every number of threads, batch and place of the output.
 *
 * Kernels given are the CPU's; where tests run on another backend (device.h) it is that one's of
 * the operation's kind which is run, and once is enough. */
#ifndef OCTPIPE_TESTS_KERNEL_CHECK_H
#define OCTPIPE_TESTS_KERNEL_CHECK_H

#include "kernels/operation.h"

/* Values offset + spread·u, u uniform in [−1, 1) and the same for the same seed; the caller frees.
 */
void *kernel_values(enum dtype dtype, int64_t count, uint64_t seed, double offset, double spread);

/* A weight of the first `rank` of the shape (a, b, 1, 1, 1). */
struct weight kernel_weight(const void *data, enum dtype dtype, int rank, int64_t a, int64_t b);

/* The instruction sets, widest first, NULL last; simd_select says which are there. */
extern const char *const kernel_sets[];

/* Compute `operation` with `kernel`, once with the widest set of threads, into a new output of
 * tensor_bytes(operation->output); the caller frees. Fails the test when create refuses. */
void *kernel_run(const struct kernel *kernel, const struct operation *operation,
                 const void *const *inputs);

/* The same, created for `planned` threads and run with `threads`; with in_place into a copy of the
 * input that the kernel names, NULL where it names none. */
void *kernel_run_threads(const struct kernel *kernel, const struct operation *operation,
                         const void *const *inputs, int planned, int threads, bool in_place);

/* Under every available instruction set:
 * - each value is within slack + rounding·|value| of the reference, where rounding is 2^-24, or
 *   2^-8 for bf16 outputs (half a unit in the last place);
 * - nothing is written outside of output, prepared, scratch and workspace;
 * - 1, 2 and 3 threads, planned for as many or more or fewer, give the same bits;
 * - so do the samples one by one, the slices too where `slicewise`, and the output in the place of
 *   the input where the kernel offers that. */
void kernel_check(const struct kernel *kernel, const struct operation *operation,
                  const void *const *inputs, double slack, bool slicewise);

/* Fails unless create refuses the operation with a reason that contains `word`. */
void kernel_refuses(const struct kernel *kernel, const struct operation *operation,
                    const char *word);

#endif
