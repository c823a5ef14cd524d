#include "lib/metrics/pairs.h"

#include "lib/core/random.h"

#include <stdlib.h>

/* A uniform number in [0,1), of 53 bits, for candidate `index`. */
static double draw(uint64_t seed, int64_t index)
{
    const struct random_key key = {.seed = seed, .stage = RANDOM_PAIRS};
    uint32_t word[4];
    random_block(&key, (uint64_t)index, word);
    return ((double)word[0] * 0x1p21 + (double)(word[1] >> 11)) * 0x1p-53;
}

int64_t pairs_choose(struct pair **result, int64_t volumes, int64_t wanted, uint64_t seed,
                     struct error *error)
{
    int64_t candidates = volumes * (volumes - 1) / 2, seen = 0, chosen = 0;
    int64_t count = wanted < candidates ? wanted : candidates;
    struct pair *pair = calloc((size_t)count + 1, sizeof *pair);
    if (!pair)
        return error_set(error, "out of memory");
    /* Selection sampling (Knuth, The Art of Computer Programming 2, algorithm 3.4.2 S). */
    for (int64_t first = 0; first < volumes; first++)
        for (int64_t second = first + 1; second < volumes; second++, seen++)
            if ((double)(candidates - seen) * draw(seed, seen) < (double)(count - chosen))
                pair[chosen++] = (struct pair){first, second};
    *result = pair;
    return count;
}
