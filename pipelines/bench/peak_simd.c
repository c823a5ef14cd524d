#include "pipelines/bench/peak.h"
#include "kernels/cpu/vector.h"

#if defined __AVX512F__
#include <immintrin.h>
#endif

/* Sums that do not wait for each other: more than the multipliers have under way, fewer than there
 * are registers. */
#if defined __AVX512F__
enum { SUMS = 24 };
#else
enum { SUMS = 12 };
#endif

INLINE float total(const vector sum[SUMS])
{
    vector all = sum[0];
    for (int i = 1; i < SUMS; i++)
        all += sum[i];
    return lane_sum(all);
}

/* A sum is a factor of its next value, and the first ones depend on the argument: nothing can be
 * computed ahead of the loop. */
static float fp32(int64_t rounds)
{
    vector sum[SUMS], factor = broadcast(0.5f), term = broadcast(1.0f);
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++)
        sum[i] = broadcast((float)(rounds + i));
    for (int64_t k = 0; k < rounds; k++)
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * factor + term;
    return total(sum);
}

#if defined __AVX512F__
__attribute__((target("avx512bf16"))) static float bf16(int64_t rounds)
{
    const int ones = 0x3f803f80; /* two bf16 ones */
    __m512 sum[SUMS];
    __m512bh a = (__m512bh)_mm512_set1_epi32(ones), b = a;
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; i++)
        sum[i] = _mm512_set1_ps((float)(rounds + i));
    for (int64_t k = 0; k < rounds; k++)
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; i++)
            sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    vector all[SUMS];
    memcpy(all, sum, sizeof all);
    return total(all);
}
#endif

const struct peak_simd SIMD_NAME(peak_simd) = {
    .fp32_round = 2 * SUMS * LANES,
    .bf16_round = 4 * SUMS * LANES,
    .fp32 = fp32,
#if defined __AVX512F__
    .bf16 = bf16,
#endif
};
