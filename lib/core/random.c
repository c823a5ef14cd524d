#include "lib/core/random.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 10, WORDS = 4 };
enum { BLOCK_BITS = 34, STAGE_BITS = 4 };

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t word[4])
{
    const uint64_t multiplier_0 = 0xD2511F53, multiplier_1 = 0xCD9E8D57;
    const uint32_t weyl_0 = 0x9E3779B9, weyl_1 = 0xBB67AE85;
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t product_0 = multiplier_0 * c0, product_1 = multiplier_1 * c2;
        c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)product_1;
        c3 = (uint32_t)product_0;
        k0 += weyl_0;
        k1 += weyl_1;
    }
    word[0] = c0;
    word[1] = c1;
    word[2] = c2;
    word[3] = c3;
}

void random_block(const struct random_key *key, uint64_t block, uint32_t word[4])
{
    const uint64_t low = (block & ((UINT64_C(1) << BLOCK_BITS) - 1)) |
                         (uint64_t)key->stage << BLOCK_BITS |
                         (uint64_t)key->step << (BLOCK_BITS + STAGE_BITS);
    const uint32_t counter[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)key->slice,
                                 (uint32_t)key->array};
    const uint32_t philox_key[2] = {(uint32_t)key->seed, (uint32_t)(key->seed >> 32)};
    random_philox(counter, philox_key, word);
}

/* Two normals from two words. The half keeps the logarithm's argument off zero. */
static void box_muller(const uint32_t word[2], float normal[2])
{
    const double pi = 3.14159265358979323846;
    double radius = sqrt(-2 * log((word[0] + 0.5) * 0x1p-32)), angle = 2 * pi * 0x1p-32 * word[1];
    normal[0] = (float)(radius * cos(angle));
    normal[1] = (float)(radius * sin(angle));
}

void random_normal(const struct random_key *key, float *out, int64_t count)
{
    for (int64_t i = 0; i < count; i += WORDS) {
        uint32_t word[WORDS];
        float normal[WORDS];
        random_block(key, (uint64_t)i / WORDS, word);
        box_muller(word, normal);
        box_muller(word + 2, normal + 2);
        int64_t wanted = count - i < WORDS ? count - i : WORDS;
        memcpy(out + i, normal, (size_t)wanted * sizeof *out);
    }
}

void random_uniform(const struct random_key *key, float low, float high, float *out, int64_t count)
{
    uint32_t word[WORDS];
    for (int64_t i = 0; i < count; i++) {
        if (i % WORDS == 0)
            random_block(key, (uint64_t)i / WORDS, word);
        float value = (float)(low + ((double)high - low) * (word[i % WORDS] * 0x1p-32));
        out[i] = value < high ? value : nextafterf(high, low); /* rounding may reach high */
    }
}
