#include "lib/training/codebook.h"

#include "lib/training/order.h"

enum { STEPS_OF_A_CODE = 64 };

void codebook_follow(struct parameter *codebook, const struct codebook_latents *l, uint64_t seed,
                     int64_t step)
{
    int64_t codes = codebook->shape[0];
    for (int64_t i = 0; i < codes; i++) {
        if (order_below(seed, ORDER_CODES, step, 0, i, STEPS_OF_A_CODE))
            continue;
        int64_t pixel = order_below(seed, ORDER_CODES, step, 1, i, l->maps * l->plane);
        const float *z = l->z + pixel / l->plane * l->c * l->plane + pixel % l->plane;
        for (int64_t j = 0; j < l->c; j++)
            codebook->value[i * l->c + j] = z[j * l->plane];
    }
}
