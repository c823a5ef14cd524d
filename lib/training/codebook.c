#include "lib/training/codebook.h"

#include "lib/engine/memory.h"
#include "lib/training/order.h"

#include <stdlib.h>

enum { STEPS_OF_A_CODE = 64 };

static void follow(float *code, int64_t codes, const struct codebook_latents *l, uint64_t seed,
                   int64_t step)
{
    for (int64_t i = 0; i < codes; i++) {
        if (order_below(seed, ORDER_CODES, step, 0, i, STEPS_OF_A_CODE))
            continue;
        int64_t pixel = order_below(seed, ORDER_CODES, step, 1, i, l->maps * l->plane);
        const float *z = l->z + pixel / l->plane * l->c * l->plane + pixel % l->plane;
        for (int64_t j = 0; j < l->c; j++)
            code[i * l->c + j] = z[j * l->plane];
    }
}

int codebook_follow(struct parameter *codebook, const struct backend *backend,
                    const struct codebook_latents *latents, uint64_t seed, int64_t step,
                    struct error *error)
{
    size_t bytes = (size_t)codebook->count * sizeof(float);
    float *code = malloc(bytes);
    if (!code)
        return error_set(error, "out of memory");
    int status = memory_read(backend, code, codebook->value, bytes, error);
    if (!status) {
        follow(code, codebook->shape[0], latents, seed, step);
        status = memory_write(backend, codebook->value, code, codebook->count, error);
    }
    free(code);
    return status;
}
