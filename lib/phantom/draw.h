/* Random numbers of a phantom: every use of them has a key of its own (seed, index of the eye,
 * purpose, slice), so that one part of an eye does not depend on how much another part drew. */
#ifndef OCTPIPE_PHANTOM_DRAW_H
#define OCTPIPE_PHANTOM_DRAW_H

#include "lib/core/random.h"

enum draw_purpose {
    DRAW_EYE,
    DRAW_SHAPE,
    DRAW_THICKNESS,
    DRAW_ROUGHNESS,
    DRAW_MOTION,
    DRAW_TREMOR,
    DRAW_ARTERIES,
    DRAW_VEINS,
    DRAW_FLUID,
    DRAW_TEXTURE,
    DRAW_GLEAM,
    DRAW_STRIPES,
    DRAW_BUNDLES,
    DRAW_GAIN,
    DRAW_FLICKER,
    DRAW_CHOROID,
    DRAW_CHOROID_PAIR,
    DRAW_SPECKLE,
    DRAW_NOISE,
};

struct random_key draw_key(uint64_t seed, int64_t index, enum draw_purpose purpose, int64_t slice);

/* Numbers one after another under a key. */
struct draw {
    struct random_key key;
    uint64_t block;
    uint32_t word[4];
    int left; /* words of the block that are not used yet */
};
void draw_start(struct draw *draw, const struct random_key *key);
double draw_uniform(struct draw *draw, double low, double high);

/* A normal number, held to within two deviations of the mean. */
double draw_normal(struct draw *draw, double mean, double deviation);

#endif
