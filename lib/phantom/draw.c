#include "lib/phantom/draw.h"

#include <math.h>

struct random_key draw_key(uint64_t seed, int64_t index, enum draw_purpose purpose, int64_t slice)
{
    return (struct random_key){.seed = seed,
                               .stage = RANDOM_PHANTOM,
                               .array = index,
                               .slice = slice,
                               .step = (int64_t)purpose};
}

void draw_start(struct draw *draw, const struct random_key *key)
{
    *draw = (struct draw){.key = *key};
}

double draw_uniform(struct draw *draw, double low, double high)
{
    if (draw->left == 0) {
        random_block(&draw->key, draw->block++, draw->word);
        draw->left = 4;
    }
    return low + (high - low) * 0x1p-32 * draw->word[--draw->left];
}

double draw_normal(struct draw *draw, double mean, double deviation)
{
    const double most = 2;
    double radius = sqrt(-2 * log(draw_uniform(draw, 0x1p-33, 1)));
    double normal = radius * cos(draw_uniform(draw, 0, 2 * M_PI));
    return mean + deviation * fmin(fmax(normal, -most), most);
}
