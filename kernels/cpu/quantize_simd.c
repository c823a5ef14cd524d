#include "kernels/cpu/vector.h"

#include <math.h>

typedef int32_t indices __attribute__((vector_size(LANES * 4)));

/* Lane i of chain k sees codes k·LANES + i, and every CHAINS·LANES codes further. */
enum { CHAINS = 2 };

INLINE vector select_vector(indices mask, vector yes, vector no)
{
    return (vector)(((indices)yes & mask) | ((indices)no & ~mask));
}

INLINE int32_t search(const float *codes, int64_t count, int64_t c, const float *value)
{
    vector best[CHAINS];
    indices winner[CHAINS], code[CHAINS];
    for (int k = 0; k < CHAINS; k++) {
        best[k] = broadcast(INFINITY);
        for (int i = 0; i < LANES; i++) {
            winner[k][i] = 0;
            code[k][i] = k * LANES + i;
        }
    }
    for (int64_t first = 0; first < count; first += CHAINS * LANES)
        for (int k = 0; k < CHAINS; k++) {
            vector distance = {0};
            for (int64_t j = 0; j < c; j++) {
                vector difference = value[j] - load(codes + j * count + first + k * LANES);
                distance += difference * difference;
            }
            indices nearer = distance < best[k];
            best[k] = select_vector(nearer, distance, best[k]);
            winner[k] = (code[k] & nearer) | (winner[k] & ~nearer);
            code[k] += CHAINS * LANES;
        }
    float distance = best[0][0];
    int32_t index = winner[0][0];
    for (int k = 0; k < CHAINS; k++)
        for (int i = 0; i < LANES; i++)
            if (best[k][i] < distance || (best[k][i] == distance && winner[k][i] < index)) {
                distance = best[k][i];
                index = winner[k][i];
            }
    return index;
}

static int32_t nearest(const float *codes, int64_t count, int64_t c, const float *value)
{
    return c == 4 ? search(codes, count, 4, value) : search(codes, count, c, value);
}

const struct quantize_simd SIMD_NAME(quantize_simd) = {nearest};
