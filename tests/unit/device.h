/* The backend that tests run on: the CPU's, or with DEVICE=cuda in the environment (make test-gpu)
 * that of bin/octpipe-cuda.so. Tests that go through it state tolerances that hold on both. */
#ifndef OCTPIPE_TESTS_DEVICE_H
#define OCTPIPE_TESTS_DEVICE_H

#include "kernels/operation.h"

/* DEVICE's backend; a test failure where it cannot be opened. */
const struct backend *test_backend(void);

/* Is it the CPU's? What is said of threads and instruction sets holds there alone. */
bool test_backend_is_cpu(void);

/* Copy to the backend's memory, and from it to the host's. */
void test_copy_in(void *to, const void *from, size_t bytes);
void test_copy_out(void *to, const void *from, size_t bytes);

/* The shared object of the CUDA backend in $BIN; NULL where it was not built or does not load, with
 * the reason printed. */
void *test_cuda_object(void);

#endif
