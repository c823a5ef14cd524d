/* What the shared object of the CUDA backend exports. */
#ifndef OCTPIPE_KERNELS_CUDA_BACKEND_H
#define OCTPIPE_KERNELS_CUDA_BACKEND_H

#include "kernels/operation.h"

/* See BACKEND_OPEN in kernels/operation.h. */
backend_open octpipe_backend_open;

/* For tests on machines without a device: a backend whose kernels can be created for a device that
 * is described in JSON as cuDNN writes it, but neither prepared nor run. */
const struct backend *octpipe_backend_plan(const char *description, const char **why);

#endif
