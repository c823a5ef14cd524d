/* The device that networks run on, by its name.
 *
 * The CUDA backend is a shared object of the same build, octpipe-cuda.so, beside the program or in
 * ../lib/octpipe from there. It is loaded when it is asked for, so that only programs which run
 * networks load CUDA's libraries. */
#ifndef OCTPIPE_ENGINE_DEVICE_H
#define OCTPIPE_ENGINE_DEVICE_H

#include "kernels/operation.h"
#include "lib/core/error.h"

/* The backend for "auto" (the CPU), "cpu", "cuda" (the first device) or "cuda:N"; NULL is an
 * error. */
const struct backend *device_open(const char *name, struct error *error);

#endif
