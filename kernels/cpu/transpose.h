/* Transposing 16×16 floats in the registers of AVX-512; for files of kernels that are compiled for
 * each instruction set. */
#ifndef OCTPIPE_KERNELS_CPU_TRANSPOSE_H
#define OCTPIPE_KERNELS_CPU_TRANSPOSE_H

#include "kernels/cpu/vector.h"

#if defined __AVX512F__
#include <immintrin.h>

enum { QUAD = 4 };

/* Transpose 4×4 blocks within the quarters of four registers. */
INLINE void transpose_quads(__m512 r[QUAD])
{
    __m512d low[2], high[2];
    for (int k = 0; k < 2; k++) {
        low[k] = _mm512_castps_pd(_mm512_unpacklo_ps(r[2 * k], r[2 * k + 1]));
        high[k] = _mm512_castps_pd(_mm512_unpackhi_ps(r[2 * k], r[2 * k + 1]));
    }
    r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1]));
    r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1]));
    r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1]));
    r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1]));
}

/* Transpose the quarters of registers k, k + 4, k + 8 and k + 12. */
INLINE void transpose_quarters(__m512 r[LANES], int k)
{
    __m512 low[2], high[2];
    for (int i = 0; i < 2; i++) {
        low[i] = _mm512_shuffle_f32x4(r[k + 8 * i], r[k + 8 * i + QUAD], 0x44);
        high[i] = _mm512_shuffle_f32x4(r[k + 8 * i], r[k + 8 * i + QUAD], 0xee);
    }
    r[k] = _mm512_shuffle_f32x4(low[0], low[1], 0x88);
    r[k + 4] = _mm512_shuffle_f32x4(low[0], low[1], 0xdd);
    r[k + 8] = _mm512_shuffle_f32x4(high[0], high[1], 0x88);
    r[k + 12] = _mm512_shuffle_f32x4(high[0], high[1], 0xdd);
}

/* Element k of register i becomes element i of register k. */
INLINE void transpose_registers(__m512 r[LANES])
{
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += QUAD)
        transpose_quads(r + i);
#pragma GCC unroll 4
    for (int k = 0; k < QUAD; k++)
        transpose_quarters(r, k);
}
#endif

#endif
