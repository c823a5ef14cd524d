/* Random numbers: Philox-4×32-10 (Salmon et al., SC 2011) keyed by (seed, stage, array, slice), so
 * that the noise of a slice is the same for any batch size, thread count or backend.
 *
 * The two words of the Philox key are the seed. The 128 bits of the counter are, from the lowest,
 *   block 34, stage 4, step 26, slice 32, array 32
 * so no two elements of any two keys share a block as long as every number fits its field:
 * 2^36 elements a key, 2^26 steps, 2^32 slices and arrays. Higher bits are dropped. */
#ifndef OCTPIPE_CORE_RANDOM_H
#define OCTPIPE_CORE_RANDOM_H

#include <stdint.h>

enum random_stage {
    RANDOM_NOISE,        /* initial latent noise of `noise` and diffuse3d */
    RANDOM_DIFFUSE_STEP, /* noise added at diffuse3d's steps */
    RANDOM_REFINE,       /* initial noise of refine-slice */
    RANDOM_REFINE_STEP,  /* noise added at its steps */
    RANDOM_WEIGHTS,      /* init-weights */
    RANDOM_TRAINING,
    RANDOM_PHANTOM,
    RANDOM_PAIRS,    /* of volumes, octmetrics */
    RANDOM_RESAMPLE, /* subsets and bootstraps of octmetrics */
};

struct random_key {
    uint64_t seed;
    enum random_stage stage;
    int64_t array, slice, step; /* step: 0 for initial noise, the timestep for step noise */
};

/* The bare generator: ten rounds of Philox-4×32 on a counter under a key, lowest word first. */
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t word[4]);

/* The four 32-bit words of counter block `block` under `key`. */
void random_block(const struct random_key *key, uint64_t block, uint32_t word[4]);

/* count standard normals (Box-Muller on pairs, computed in double, rounded to f32); element i
 * depends on the key and i alone. */
void random_normal(const struct random_key *key, float *out, int64_t count);

/* count uniforms in [low, high), of 32 random bits each; element i depends on the key and i alone.
 */
void random_uniform(const struct random_key *key, float low, float high, float *out, int64_t count);

#endif
