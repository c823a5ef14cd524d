/* Single outputs of a convolution in double, by its definition in kernels/operation.h. */
#ifndef OCTPIPE_BENCH_REFERENCE_H
#define OCTPIPE_BENCH_REFERENCE_H

#include "kernels/operation.h"

struct reference;

/* input stays the caller's and must stay. NULL: out of memory. */
struct reference *reference_open(const struct operation *operation, const void *input);
void reference_close(struct reference *reference); /* NULL is fine */

/* Output number `at`, in the order of the output's memory; a residual counts as zero. */
double reference_output(const struct reference *reference, int64_t at);

#endif
