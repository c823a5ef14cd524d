#include "lib/training/order.h"

#include <stdlib.h>

enum { WORDS = 4 };

int order_create(struct order *o, uint64_t seed, int64_t items, struct error *error)
{
    *o = (struct order){seed, items, -1, malloc((size_t)items * sizeof *o->permutation)};
    return o->permutation ? 0 : error_set(error, "out of memory");
}

void order_destroy(struct order *o)
{
    free(o->permutation);
    *o = (struct order){0};
}

int64_t order_below(uint64_t seed, enum order_purpose purpose, int64_t step, int64_t sample,
                    int64_t i, int64_t below)
{
    uint32_t word[WORDS];
    struct random_key key = {seed, RANDOM_TRAINING, (int64_t)purpose, sample, step};
    random_block(&key, (uint64_t)(i / WORDS), word);
    return (int64_t)((uint64_t)word[i % WORDS] * (uint64_t)below >> 32);
}

/* Fisher and Yates. */
static void permute(struct order *o, int64_t epoch)
{
    for (int64_t i = 0; i < o->items; i++)
        o->permutation[i] = i;
    for (int64_t i = o->items - 1; i > 0; i--) {
        int64_t k = order_below(o->seed, ORDER_PERMUTATION, epoch, 0, i, i + 1);
        int64_t item = o->permutation[i];
        o->permutation[i] = o->permutation[k];
        o->permutation[k] = item;
    }
    o->epoch = epoch;
}

int64_t order_item(struct order *o, int64_t n)
{
    if (n / o->items != o->epoch)
        permute(o, n / o->items);
    return o->permutation[n % o->items];
}
