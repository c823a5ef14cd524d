/* OP_CODEBOOK_WEIGHTS. Which code a pixel holds is looked up in the codes, sorted by their bits; of
 * equal codes the first is the pixel's, as in OP_QUANTIZE. Pixels are added one after another. */
#include "kernels/check_training.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

struct codebook_state {
    int64_t pixels, c, codes;
    const float *book; /* (codes, c) */
    int32_t *order;    /* codes by their bits, then by number */
    float *gradient;
};

static const char *create(const struct operation *o, void **state, struct needs *needs,
                          int *in_place)
{
    const char *why = check_codebook_weights(o);
    if (why)
        return why;
    struct shape y = o->input[0].shape;
    struct codebook_state s = {
        .pixels = shape_count(y) / y.c,
        .c = y.c,
        .codes = o->weight[0].shape[0],
        .gradient = o->gradient[0],
    };
    *needs = (struct needs){0};
    *in_place = -1;
    cpu_reserve(&needs->prepared, s.codes, s.c * (int64_t)sizeof(float));
    cpu_reserve(&needs->prepared, s.codes, sizeof(int32_t));
    if (needs->prepared == SIZE_MAX)
        return "the codebook is too large";
    *state = cpu_keep(&s, sizeof s);
    return *state ? NULL : "out of memory";
}

static int compare_codes(const void *a, const void *b, void *context)
{
    const struct codebook_state *s = context;
    int32_t i = *(const int32_t *)a, k = *(const int32_t *)b;
    int order = memcmp(s->book + i * s->c, s->book + k * s->c, (size_t)s->c * sizeof(float));
    return order ? order : (i > k) - (i < k);
}

static const char *prepare(void *state, const struct operation *o, void *prepared, void *scratch)
{
    (void)scratch;
    struct codebook_state *s = state;
    size_t offset = 0;
    cpu_reserve(&offset, s->codes, s->c * (int64_t)sizeof(float));
    weight_to_f32(&o->weight[0], 0, s->codes * s->c, prepared);
    s->book = prepared;
    s->order = (int32_t *)((char *)prepared + offset);
    for (int32_t i = 0; i < (int32_t)s->codes; i++)
        s->order[i] = i;
    qsort_r(s->order, (size_t)s->codes, sizeof *s->order, compare_codes, s);
    return NULL;
}

/* The first code of these bits; −1 where there is none. */
static int64_t find(const struct codebook_state *s, const float *value)
{
    size_t bytes = (size_t)s->c * sizeof *value;
    int64_t low = 0, high = s->codes;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (memcmp(s->book + s->order[middle] * s->c, value, bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->codes || memcmp(s->book + s->order[low] * s->c, value, bytes))
        return -1;
    return s->order[low];
}

static const char *run(void *state, const void *const *inputs, void *output, void *workspace)
{
    (void)workspace;
    const struct codebook_state *s = state;
    const float *y = inputs[0], *dy = inputs[1];
    *(float *)output = 0.0f;
    for (int64_t i = 0; s->gradient && i < s->pixels; i++) {
        int64_t code = find(s, y + i * s->c);
        if (code < 0)
            return "a pixel holds no code of the codebook";
        for (int64_t j = 0; j < s->c; j++)
            s->gradient[code * s->c + j] += dy[i * s->c + j];
    }
    return NULL;
}

const struct kernel cpu_codebook_weights = {create, prepare, run, free};
