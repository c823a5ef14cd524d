#include "kernels/cpu/simd.h"
#include "kernels/operation.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#ifndef SIMD_ONLY_PORTABLE
#include <cpuid.h>
#endif

#define SIMD_SET(set)                                                                              \
    {                                                                                              \
        .name = #set, .convert = &convert_simd_##set, .group_norm = &group_norm_simd_##set,        \
        .group_norm_gradient = &group_norm_gradient_simd_##set, .resample = &resample_simd_##set,  \
        .attention = &attention_simd_##set, .linear = &linear_simd_##set,                          \
        .elementwise = &elementwise_simd_##set, .optimizer = &optimizer_simd_##set,                \
        .quantize = &quantize_simd_##set, .pool = &pool_simd_##set,                                \
        .convolution = &convolution_simd_##set,                                                    \
        .convolution_lines = &convolution_lines_simd_##set,                                        \
        .convolution_weights = &convolution_weights_simd_##set, .winograd = &winograd_simd_##set   \
    }

/* From the widest to the one that is always there. */
static const struct simd sets[] = {
#ifndef SIMD_ONLY_PORTABLE
    SIMD_SET(avx512),
    SIMD_SET(avx2),
#endif
    SIMD_SET(portable),
};

static const struct simd *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool is_available(const struct simd *set)
{
#ifndef SIMD_ONLY_PORTABLE
    if (!strcmp(set->name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (!strcmp(set->name, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("f16c");
#endif
    return !strcmp(set->name, "portable");
}

/* The widest available set that has this name; NULL: any name. */
static const struct simd *find(const char *name)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if ((!name || !strcmp(name, sets[i].name)) && is_available(&sets[i]))
            return &sets[i];
    return NULL;
}

static void choose(void)
{
    const char *name = getenv("OCTPIPE_SIMD");
    chosen = name ? find(name) : NULL;
    if (!chosen)
        chosen = find(NULL);
}

const struct simd *simd(void)
{
    pthread_once(&once, choose);
    return chosen;
}

int simd_select(const char *name)
{
    pthread_once(&once, choose);
    const struct simd *set = find(name);
    if (!set)
        return -1;
    chosen = set;
    return 0;
}

const char *cpu_instruction_set(void)
{
    return simd()->name;
}

bool cpu_has_bf16(void)
{
#ifndef SIMD_ONLY_PORTABLE
    const unsigned bf16_bit = 1u << 5; /* CPUID leaf 7, subleaf 1, EAX: AVX512_BF16 */
    unsigned eax = 0, ebx, ecx, edx;
    return __builtin_cpu_supports("avx512bw") && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) &&
           (eax & bf16_bit);
#else
    return false;
#endif
}
