/* What the machine can do at most: products in registers, and copies of memory. */
#ifndef OCTPIPE_BENCH_PEAK_H
#define OCTPIPE_BENCH_PEAK_H

#include <stdint.h>

/* Loops that keep everything in registers, compiled like the kernels once for each instruction set.
 * A round is the least that a loop can do. */
struct peak_simd {
    int64_t fp32_round, bf16_round; /* floating-point operations of a round */
    float (*fp32)(int64_t rounds);  /* fused multiply-adds; separate ones in sets without */
    float (*bf16)(int64_t rounds);  /* vdpbf16ps; NULL in sets without it */
};

extern const struct peak_simd peak_simd_portable;
#ifndef SIMD_ONLY_PORTABLE
extern const struct peak_simd peak_simd_avx2, peak_simd_avx512;
#endif

/* Rates of all threads together, the best of several measurements: 10^9 floating-point operations a
 * second with the instruction set in use (bf16: 0 where the processor has no such products), and
 * 10^9 bytes a second that a copy of memory reads and writes (0: no memory for it). */
struct peak {
    double fp32, bf16, copy;
};

struct peak peak_measure(void);

#endif
