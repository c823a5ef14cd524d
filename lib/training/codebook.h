/* A codebook's beginning. A fresh code far from all latents is never chosen, never learns, and of
 * thousands some dozens are used. So while the codebook warms up, codes move to latents at hand: a
 * few at each step, drawn at random, so that by the end codes lie as latents do. */
#ifndef OCTPIPE_TRAINING_CODEBOOK_H
#define OCTPIPE_TRAINING_CODEBOOK_H

#include "lib/models/parameters.h"

/* Latents as a graph gives them, slice-major: z (maps, c, plane) f32. */
struct codebook_latents {
    float *z;
    int64_t maps, c, plane;
};

/* Move each code of the codebook (codes, c), in the backend's memory, with probability 1/64 to one
 * of the latents. Which and where to follows from seed and step. */
int codebook_follow(struct parameter *codebook, const struct backend *backend,
                    const struct codebook_latents *latents, uint64_t seed, int64_t step,
                    struct error *error);

#endif
